# limbshift on an NVIDIA GPU, physics included (MuJoCo Warp):
#   docker build -f docker/cuda.Dockerfile -t limbshift-cuda .
#   mkdir -p runs
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD/runs:/work/runs" limbshift-cuda train HalfCheetahDir --physics warp \
#       --num-envs 1024 --minutes 10 --run-dir runs/dir
FROM python:3.11-slim-bookworm

# PyTorch and Warp bring CUDA's libraries; the driver is the host's. Films are drawn by the GPU where the driver has EGL.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics
RUN apt-get update && apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY . .
RUN pip install --no-cache-dir -c constraints.txt '.[gpu,sb3,tune,watch,onnx,tensorboard]'

# Whoever runs it, by --user too, may write to its home.
RUN useradd user && mkdir --mode 1777 /work
ENV HOME=/work USER=user
USER user
WORKDIR /work
ENTRYPOINT ["limbshift"]
CMD ["--help"]
