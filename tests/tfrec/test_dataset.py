import time
def test_x(transformed_shop):
    pass
def test_y(transform, shop, tmp_path, make_config):
    from tfrec.examples import SPLITS, build_partition
    config = make_config(features={"profile_columns": ("age", "city")})
    splits = {split: [] for split in SPLITS}
    for index in range(shop.manifest.partitions):
        for split, examples in build_partition(shop, index, config.examples):
            splits[split] += examples
    import cProfile,pstats
    pr=cProfile.Profile(); pr.enable()
    t=time.time(); c=time.process_time()
    transform(tmp_path, splits, config)
    print("SECOND",time.time()-t, time.process_time()-c)
    pr.disable(); pstats.Stats(pr).sort_stats("cumtime").print_stats(60)
