# One image for every process; the command says which (see docker-compose.yml).
FROM python:3.12-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY topics topics
COPY pipeline pipeline
COPY storage storage
COPY agents agents
COPY gateway gateway
COPY ops ops
RUN useradd --system --create-home rag && install -d -o rag /data /data/index /results
USER rag
# What a worker remembers of itself need not outlive its container.
VOLUME /data
# From the folder of the packages: their names are common words, and `python -m` puts this folder first.
ENTRYPOINT ["python", "-m", "ops.cli"]
CMD ["--help"]
