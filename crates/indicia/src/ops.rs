//! For operators' machines: `/metrics`, `/healthz`, `/readyz`.
//!
//! Healthy means that the process answers. Ready means that it takes mail: every listener is up, the database
//! answers, and it is not stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use indicia_store::Store;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What the pages show.
#[derive(Clone)]
pub struct Ops {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    store: Store,
    ready: AtomicBool,
    waiting: Gauge,
    due: Gauge,
}

impl Ops {
    pub fn new(mut registry: Registry, store: Store) -> Ops {
        let (waiting, due) = (Gauge::default(), Gauge::default());
        registry.register(
            "indicia_queue_recipients",
            "Recipients whose mail waits for delivery",
            waiting.clone(),
        );
        registry.register("indicia_queue_due_recipients", "Of them, due now or in delivery", due.clone());
        Ops { inner: Arc::new(Inner { registry, store, ready: AtomicBool::new(false), waiting, due }) }
    }

    pub fn set_ready(&self, ready: bool) {
        self.inner.ready.store(ready, Ordering::SeqCst);
    }

    pub fn router(&self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .with_state(self.clone())
    }
}

async fn metrics(State(ops): State<Ops>) -> Response {
    let inner = &ops.inner;
    match inner.store.queue_length().await {
        Ok((waiting, due)) => {
            inner.waiting.set(waiting);
            inner.due.set(due);
        }
        Err(error) => tracing::warn!(%error, "the queue could not be counted for the metrics"),
    }
    let mut text = String::new();
    match encode(&mut text, &inner.registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n").into_response(),
    }
}

async fn ready(State(ops): State<Ops>) -> Response {
    if !ops.inner.ready.load(Ordering::SeqCst) {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting or stopping\n").into_response();
    }
    match ops.inner.store.ping().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("the database does not answer: {error}\n"))
            .into_response(),
    }
}
