# The image of the pipeline's pods on Kubeflow, `image:` in examples/cluster.yaml:
#
#     docker build -t tfrec .
#     docker build -t tfrec:gpu --build-arg VARIANT=gpu .        # `gpu_image:`, with CUDA's libraries
#
# The packages of uv.lock are one layer, and this project is a small one above it: new code moves
# megabytes, not gigabytes.
ARG BASE=python:3.11-slim-bookworm

# uv builds the two stages below; the final image does not contain it.
FROM ${BASE} AS uv
# The version in the Makefile.
ARG UV_VERSION=0.13.9
RUN python3 -m pip install --no-cache-dir --root-user-action=ignore --target /opt/uv uv==${UV_VERSION}
ENV PATH=/opt/uv/bin:$PATH UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/tfrec
WORKDIR /build

FROM uv AS packages
# cpu or gpu, an extra of pyproject.toml. NVIDIA's driver belongs to the machine.
ARG VARIANT=cpu
COPY pyproject.toml uv.lock ./
RUN case "$VARIANT" in cpu) extra= ;; gpu) extra="--extra gpu" ;; \
      *) echo "VARIANT is '$VARIANT'; give cpu or gpu" >&2; exit 1 ;; esac \
 && uv sync --locked --no-dev --no-install-project --compile-bytecode $extra

FROM uv AS project
COPY pyproject.toml README.md ./
COPY tfrec tfrec
COPY pipeline pipeline
COPY serving serving
# Install into a folder beside the packages, with scripts that start the environment's Python.
RUN uv venv --python python3 /opt/tfrec && uv build --wheel --out-dir /wheels \
 && uv pip install --python /opt/tfrec --prefix /project --no-deps --compile-bytecode /wheels/*.whl

FROM ${BASE}
COPY --from=packages /opt/tfrec /opt/tfrec
COPY --from=project /project /opt/tfrec
ENV PATH=/opt/tfrec/bin:$PATH PYTHONUNBUFFERED=1
# The user can write only to its home; on a cluster the volume's file system grants write access.
RUN useradd --uid 10001 --create-home tfrec
USER 10001:10001
WORKDIR /home/tfrec
ENTRYPOINT ["tfrec"]
CMD ["--help"]
