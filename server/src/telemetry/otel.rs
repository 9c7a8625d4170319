//! Traces of requests, sent to a collector over HTTP in OTLP's binary form.
//!
//! Spans that end go into a bounded queue; a thread of the SDK sends them in batches. A collector that cannot be reached
//! costs spans and a warning a minute, and requests nothing. The SDK itself reads `OTEL_SERVICE_NAME`,
//! `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*` and `OTEL_EXPORTER_OTLP_HEADERS`.

use std::fmt;
use std::future::{self, Future};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Uri};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use tracing::warn;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// How long sending one batch may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often a collector that does not do its part is told of, at most.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The largest answer of a collector that is read, in bytes.
const ANSWER: u64 = 1 << 20;

/// Checks an `otlp_endpoint` and completes it: a bare address means the collector's usual path.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn endpoint(text: &str) -> Result<String, String> {
    let expected = "expected http://host[:port] or https://host[:port], and a path if the collector has another than /v1/traces";
    let uri: Uri = text
        .parse()
        .map_err(|error| format!("{expected}: {error}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(expected.to_owned());
    }
    let text = text.trim_end_matches('/');
    Ok(match uri.path() {
        "" | "/" => format!("{text}/v1/traces"),
        _ => text.to_owned(),
    })
}

/// Starts the thread that sends traces there.
pub(super) fn provider(endpoint: &str) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector::new(endpoint))
        .with_endpoint(endpoint)
        .with_timeout(TIMEOUT)
        .build()?;
    let mut resource = Resource::builder();
    let named = |variable| std::env::var(variable).unwrap_or_default();
    if named("OTEL_SERVICE_NAME").is_empty()
        && !named("OTEL_RESOURCE_ATTRIBUTES").contains("service.name=")
    {
        resource = resource.with_service_name("torchrelay");
    }
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build())
}

/// Makes spans into traces. Events are for the log alone.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let layer: OpenTelemetryLayer<S, Tracer> =
        tracing_opentelemetry::layer().with_tracer(provider.tracer("torchrelay"));
    layer
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(|metadata| {
            metadata.is_span() && is_ours(metadata.target())
        }))
}

/// Whether it comes from this program rather than from a library, whose spans are many.
fn is_ours(target: &str) -> bool {
    let (root, _) = target.split_once("::").unwrap_or((target, ""));
    matches!(root, "server" | "serving" | "torch_engine" | "handlers")
}

/// The trace that the client began, as its header `traceparent` says.
pub(super) fn parent(headers: &HeaderMap) -> Option<Context> {
    headers.contains_key("traceparent").then(|| {
        TraceContextPropagator::new()
            .extract_with_context(&Context::new(), &HeaderExtractor(headers))
    })
}

/// The way to the collector. Blocks, and is called by the SDK's own thread alone.
struct Collector {
    agent: ureq::Agent,
    endpoint: String,
    told: Mutex<Option<Instant>>,
}

impl Collector {
    fn new(endpoint: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .build();
        Collector {
            agent: config.into(),
            endpoint: endpoint.to_owned(),
            told: Mutex::new(None),
        }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = request.map(|body| body.to_vec());
        let sent = self.agent.run(request).and_then(|mut response| {
            let body = response
                .body_mut()
                .with_config()
                .limit(ANSWER)
                .read_to_vec()?;
            Ok(response.map(|_| Bytes::from(body)))
        });
        match &sent {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => self.tell(&format_args!("it answered {}", response.status())),
            Err(error) => self.tell(error),
        }
        Ok(sent?)
    }

    fn tell(&self, what: &dyn fmt::Display) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            *told = Some(Instant::now());
            warn!("otlp_endpoint: {} takes no traces: {what}", self.endpoint);
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl HttpClient for Collector {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(future::ready(self.send(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_with_or_without_its_path() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(endpoint(text).ok().as_deref(), expected, "{text}");
        };
        check(
            "http://localhost:4318",
            Some("http://localhost:4318/v1/traces"),
        );
        check("https://c.example/", Some("https://c.example/v1/traces"));
        check(
            "http://c:1/otlp/v1/traces",
            Some("http://c:1/otlp/v1/traces"),
        );
        for wrong in [
            "localhost:4318",
            "grpc://c:4317",
            "http://",
            "/v1/traces",
            "a b",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn the_trace_of_the_client_is_taken_up() {
        use opentelemetry::trace::TraceContextExt as _;
        let trace = |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert("traceparent", axum::http::HeaderValue::from_static(value));
            }
            let parent = parent(&headers)?;
            let span = parent.span().span_context().clone();
            span.is_valid()
                .then(|| (span.trace_id().to_string(), span.is_sampled()))
        };
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let id = "0af7651916cd43dd8448eb211c80319c".to_owned();
        assert_eq!(trace(Some(header)), Some((id, true)));
        assert_eq!(trace(Some("00-nonsense-01")), None);
        assert_eq!(trace(None), None);
    }
}
