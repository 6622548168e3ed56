# The suite as an image: docker build --tag necp-validate-suite .
# BASE is any image with Python 3.11 or newer and its venv module: an official one, or your own with your certificates.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY necp_validate necp_validate
COPY scenarios scenarios
COPY experiments experiments
RUN python3 -m venv /opt/necp-validate && /opt/necp-validate/bin/pip install --no-cache-dir ".[k8s]"

FROM ${BASE}
COPY --from=build /opt/necp-validate /opt/necp-validate
# Writable for whoever it is run as: `docker run --user` lets the reports belong to the caller.
RUN install -d -m 1777 /home/necp /home/necp/.cache /work
ENV PATH=/opt/necp-validate/bin:$PATH HOME=/home/necp PYTHONUNBUFFERED=1
WORKDIR /work
USER 10001:10001
ENTRYPOINT ["necp-validate"]
CMD ["--help"]
