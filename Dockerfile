# competency-gaps on a CPU. Three lines to use it:
#   pip wheel --no-deps --wheel-dir dist .
#   docker build --tag cgaps .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" cgaps demo
FROM python:3.12-slim

# torch comes with libraries for GPUs by default: give the index of its CPU builds to leave 3 GB out.
ARG TORCH_INDEX=""
RUN --mount=type=bind,source=dist,target=/dist \
    if [ -n "$TORCH_INDEX" ]; then pip install --no-cache-dir --index-url "$TORCH_INDEX" torch; fi \
    && pip install --no-cache-dir "$(ls -t /dist/competency_gaps-*.whl | head -n 1)[demo]"

# The model is part of the image, unpacked: its demo needs no network.
ENV CGAPS_CACHE=/opt/cgaps
RUN python -c "import competency_gaps; competency_gaps.load_model('embedded')" \
    && chmod -R a+rX /opt/cgaps

# A user of --user has neither a home nor a name here.
ENV HOME=/tmp USER=cgaps
WORKDIR /work
ENTRYPOINT ["cgaps"]
CMD ["--help"]
