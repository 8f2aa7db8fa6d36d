# One image for every service of docker-compose.yml; the service's command says what it does.
FROM python:3.11-slim-bookworm

# The same number on every machine, so that a shared volume keeps its owner.
RUN groupadd --gid 10001 osprey \
    && useradd --uid 10001 --gid osprey --home-dir /app --no-create-home --shell /usr/sbin/nologin osprey \
    && install --directory --owner osprey --group osprey --mode 0700 /data

WORKDIR /app
COPY requirements.txt .
# The lock is complete, so nothing is looked up beside it.
RUN pip install --no-cache-dir --no-deps --requirement requirements.txt

COPY manage.py osprey pyproject.toml ./
COPY classifier classifier
COPY training training
COPY webapp webapp
COPY templates templates
COPY static static
RUN python -m compileall -q classifier training webapp

ENV OSPREY_DATA=/data \
    DJANGO_SETTINGS_MODULE=webapp.settings \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/data/cache \
    HF_HOME=/data/cache/huggingface \
    TORCH_HOME=/data/cache/torch

USER osprey
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "gunicorn", "--config", "python:webapp.serving", "--bind", "0.0.0.0:8000"]
