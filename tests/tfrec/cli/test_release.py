"""promote, canary, rollback and --model_config_file, with a model whose title is its version."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import trustme

from tfrec.cli.main import main

BIN = Path(sys.executable).parent
INPUTS = ("query", "user_city", "user_age")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 and 2, whose search returns one item titled "version 1" or "version 2"."""
    import tensorflow as tf

    root = tmp_path_factory.mktemp("exported")
    for version in (1, 2):
        model = tf.Module()

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name) for name in INPUTS])
        def search(query, user_city, user_age, version=version):
            titles = tf.fill([tf.size(query), 1], f"version {version}")
            return {"item_id": titles, "title": titles, "score": tf.ones_like(titles, tf.float32)}

        model.search = search
        tf.saved_model.save(model, str(root / str(version)), signatures={"search": search})
    return root


@pytest.fixture
def file(exported: Path, tmp_path: Path) -> Path:
    """A configuration file that serves version 1."""
    path = tmp_path / "models.config"
    path.write_text(
        f"""model_config_list {{ config {{
            name: "tfrec" base_path: "{exported}" model_platform: "tensorflow"
            model_version_policy {{ specific {{ versions: 1 }} }}
        }} }}""",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def address(file: Path) -> Iterator[str]:
    """The address of a server that polls the file."""
    from serving.api.options import Options
    from serving.lifecycle.options import LifecycleOptions
    from serving.rollout.config_file import ConfigFile
    from serving.server.config_poll import ConfigPoll
    from serving.server.embedded import start

    options = Options(lifecycle=LifecycleOptions(poll_seconds=0.05, labels_may_wait=True))
    with start(ConfigFile(file).config(), options) as server, ConfigPoll(server.models, str(file), 0.05):
        yield f"127.0.0.1:{server.port}"


def test_a_canary_is_promoted_and_rolled_back(capsys, file, address):
    flags = ["--model_config_file", str(file), "--server", address, "--wait", "60"]
    for words in (["promote", "1"], ["canary", "2", "--share", "10%"], ["promote", "2"], ["rollback"]):
        assert main([*words, *flags]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "version 1 is stable",
        "version 1 is stable; 0.1 of the users get 2, the canary",
        "requests without a label get the highest version in service, 2: "
        "let clients request the label stable or canary",
        "version 2 is stable, before it 1",
        "version 1 is stable",
    ]
    assert main(["rollback", *flags]) == 2
    assert "no version was stable before this one; name one to go to" in capsys.readouterr().err


def test_each_user_gets_the_version_of_the_file(capsys, shop, file, address):
    # `printf 2:dee | b2sum -l 64` starts with 06, 0.02 of 256; that of eve with 2c, 0.17 of 256.
    flags = ["--model_config_file", str(file), "--server", address]
    assert main(["promote", "1", *flags]) == 0
    assert main(["canary", "2", "--share", "10", *flags]) == 0
    capsys.readouterr()
    for user, version in (("dee", 2), ("eve", 1), ("dee", 2)):
        assert main(["search", "tea", "--user", user, "--k", "1", "--tables", str(shop.root), *flags]) == 0
        assert capsys.readouterr().out.splitlines()[1].endswith(f"version {version}")
    assert main(["search", "tea", "--k", "1", "--label", "canary", "--server", address]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("version 2")


def test_status_shows_the_version_of_a_label_and_the_release_of_a_file(capsys, file, address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["promote", "1", "--model_config_file", str(file), "--server", address]) == 0
    capsys.readouterr()
    assert main(["status", "--server", address, "--label", "stable"]) == 0
    assert main(["status", "--server", address, "--model_config_file", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"server   {address}: version 1 AVAILABLE",
        f"server   {address}: stable is version 1",
        f"server   {address}: version 1 AVAILABLE",
        f"labels   {file}: version 1 is stable",
    ]


def test_send_sends_the_file_to_a_server_that_does_not_poll_it(capsys, file):
    from serving.rollout.config_file import ConfigFile
    from serving.server.embedded import start

    with start(ConfigFile(file).config()) as server:
        address = f"127.0.0.1:{server.port}"
        flags = ["--model_config_file", str(file), "--server", address, "--wait", "60", "--send"]
        assert main(["promote", "1", *flags]) == 0
        assert main(["promote", "2", *flags]) == 0
        assert main(["search", "tea", "--k", "1", "--label", "stable", "--server", address]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("version 2")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_the_file_can_be_served_after_an_interruption(file, number, code):
    """No server polls the file, so the version never loads and the command waits."""
    from serving.rollout.config_file import ConfigFile
    from serving.server.embedded import start

    before = file.read_text(encoding="utf-8")
    with start(ConfigFile(file).config()) as server:
        address = f"127.0.0.1:{server.port}"
        command = [BIN / "tfrec", "promote", "2", "--model_config_file", file, "--server", address]
        with subprocess.Popen(
            command,
            stderr=subprocess.DEVNULL,
            # A shell's background job, as CI may be, ignores SIGINT, and its children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as child:
            deadline = time.monotonic() + 60
            while file.read_text(encoding="utf-8") == before:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            child.send_signal(number)
            assert child.wait(60) == code
    if number == signal.SIGINT:
        assert file.read_text(encoding="utf-8") == before
    with start(ConfigFile(file).config()) as server:  # 1; after a kill also 2
        words = ["search", "tea", "--k", "1", "--version", "1", "--server", f"127.0.0.1:{server.port}"]
        deadline = time.monotonic() + 60
        while main(words) != 0:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_flags_configure_tls(capsys, exported, tmp_path):
    from serving.api.options import Options
    from serving.lifecycle.model_config import single
    from serving.server.embedded import start

    authority = trustme.CA()
    server_cert, client_cert = authority.issue_cert("127.0.0.1"), authority.issue_cert("shop@example.org")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client_cert.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    client_cert.private_key_pem.write_to_path(tmp_path / "client.key")
    pair = (server_cert.private_key_pem.bytes(), server_cert.cert_chain_pems[0].bytes())
    credentials = grpc.ssl_server_credentials([pair], authority.cert_pem.bytes(), require_client_auth=True)
    with start(single("tfrec", exported), Options(credentials=credentials)) as server:
        words = ["search", "tea", "--k", "1", "--server", f"127.0.0.1:{server.port}"]
        ours = ["--tls-cert", str(tmp_path / "client.pem"), "--tls-key", str(tmp_path / "client.key")]
        assert main([*words, "--tls-ca", str(tmp_path / "ca.pem"), *ours]) == 0
        assert capsys.readouterr().out.splitlines()[1].endswith("version 2")
        assert main([*words, "--tls", *ours]) == 2  # the system does not know the authority
        assert main(words) == 2
        assert main([*words, "--tls-cert", str(tmp_path / "client.pem")]) == 2
    err = capsys.readouterr().err.splitlines()
    assert "no TLS connection to it can be made" in err[0]
    assert "or pass tls if the server requires it" in err[1]
    assert "but key is missing; give both or neither" in err[2]
