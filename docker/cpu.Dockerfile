# limbshift on CPUs, with what it needs to film:
#   docker build -f docker/cpu.Dockerfile -t limbshift .
#   mkdir -p runs
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/runs:/work/runs" limbshift train HalfCheetahDir --minutes 10 --run-dir runs/dir
FROM python:3.11-slim-bookworm

RUN apt-get update && apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
# PyTorch's own index holds its CPU build, which is a tenth of the size of the one with CUDA.
COPY constraints.txt .
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    "$(grep '^torch==' constraints.txt)+cpu"
COPY . .
RUN sed -i 's/^\(torch==.*\)$/\1+cpu/' constraints.txt \
    && pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -c constraints.txt \
    '.[sb3,tune,watch,onnx,tensorboard]'

# Whoever runs it, by --user too, may write to its home.
RUN useradd user && mkdir --mode 1777 /work
ENV HOME=/work USER=user
USER user
WORKDIR /work
ENTRYPOINT ["limbshift"]
CMD ["--help"]
