# Builds Indicia from this source and runs it as a user of its own, with its data in a volume.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake g++ make perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package indicia

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/indicia --create-home indicia
COPY --from=build /source/target/release/indicia /usr/bin/indicia
USER indicia
VOLUME /var/lib/indicia
ENV INDICIA_DATA_DIR=/var/lib/indicia \
    INDICIA_API__LISTEN=0.0.0.0:8025 \
    INDICIA_CONSOLE__LISTEN=0.0.0.0:8026 \
    INDICIA_METRICS__LISTEN=0.0.0.0:8027 \
    INDICIA_SUBMISSION__LISTEN='["0.0.0.0:2525"]' \
    INDICIA_SUBMISSION__TLS_LISTEN='["0.0.0.0:2465"]' \
    INDICIA_INBOUND__LISTEN='["0.0.0.0:2526"]'
EXPOSE 8025 8026 8027 2525 2465 2526
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/indicia"]
CMD ["serve"]
