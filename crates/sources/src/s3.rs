//! S3: where an object is, and how a request for it is signed. Everything that may be set is set by the environment's
//! variables `AWS_…`, as every tool for AWS reads them.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use object_store::aws::{
    AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, AwsCredential, AwsCredentialProvider,
};
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody};
use object_store::{ClientOptions, RetryConfig};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::OnceCell;
use url::Url;

use crate::client::Clients;
use crate::error::{Cause, chain};

const KMS: HeaderName = HeaderName::from_static("x-amz-server-side-encryption");
/// What a key holds unescaped; the signature is made for just this spelling.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');
/// How long credentials may take that a service of the cloud hands out.
const CREDENTIALS: Duration = Duration::from_secs(10);

pub(crate) struct Aws {
    /// Those variables that `object_store` knows.
    settings: Vec<(AmazonS3ConfigKey, String)>,
    /// Kept, because it keeps what it was given until that expires.
    credentials: OnceCell<AwsCredentialProvider>,
}

/// Without the values, some of which are secrets.
impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.settings.iter().map(|(key, _)| key);
        f.debug_list().entries(keys).finish()
    }
}

impl Aws {
    pub(crate) fn new(variables: &[(String, String)]) -> Self {
        let settings = variables.iter().filter_map(|(name, value)| {
            let key = name.to_ascii_lowercase().parse().ok()?;
            let value = value.trim();
            (!value.is_empty()).then(|| (key, value.to_owned()))
        });
        Aws {
            settings: settings.collect(),
            credentials: OnceCell::new(),
        }
    }

    /// Whether objects are asked for without a signature: `AWS_SKIP_SIGNATURE`.
    pub(crate) fn anonymous(&self) -> bool {
        self.is_true(&AmazonS3ConfigKey::SkipSignature)
    }

    /// Where an object is: below `AWS_ENDPOINT_URL`, or at AWS in the region of `AWS_REGION` or `AWS_DEFAULT_REGION`.
    pub(crate) fn url(&self, bucket: &str, key: &str) -> Result<Url, Cause> {
        let endpoint = self
            .get(&AmazonS3ConfigKey::S3Endpoint)
            .or_else(|| self.get(&AmazonS3ConfigKey::Endpoint));
        let region = self.region();
        let base = match (
            endpoint,
            self.is_true(&AmazonS3ConfigKey::VirtualHostedStyleRequest),
        ) {
            // Then the bucket is in the endpoint's name.
            (Some(endpoint), true) => endpoint.trim_end_matches('/').to_owned(),
            (Some(endpoint), false) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
            (None, true) => format!("https://{bucket}.s3.{region}.amazonaws.com"),
            (None, false) => format!("https://s3.{region}.amazonaws.com/{bucket}"),
        };
        let url = Url::parse(&format!("{base}/{}", utf8_percent_encode(key, KEY)));
        let url = url.map_err(|error| Cause::BadUrl(format!("AWS_ENDPOINT_URL: {error}")))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(Cause::BadUrl(format!(
                "AWS_ENDPOINT_URL: expected http or https, found {}",
                url.scheme()
            )));
        }
        Ok(url)
    }

    /// The headers that sign a request, and with `kms` the one that asks for encryption by it.
    pub(crate) async fn sign(
        &self,
        clients: &Clients,
        url: &Url,
        kms: bool,
    ) -> Result<HeaderMap, Cause> {
        let credential = self.credential(clients).await?;
        let failed = |error: &(dyn std::error::Error + 'static)| Cause::Credentials(chain(error));
        let mut request = http::Request::get(url.as_str())
            .body(HttpRequestBody::empty())
            .map_err(|error| failed(&error))?;
        if kms {
            let value = HeaderValue::from_static("aws:kms");
            request.headers_mut().insert(KMS, value);
        }
        AwsAuthorizer::new(&credential, "s3", self.region())
            .with_request_payer(self.is_true(&AmazonS3ConfigKey::RequestPayer))
            .try_authorize(&mut request, None)
            .map_err(|error| failed(&error))?;
        Ok(request.into_parts().0.headers)
    }

    async fn credential(&self, clients: &Clients) -> Result<Arc<AwsCredential>, Cause> {
        let provider = self
            .credentials
            .get_or_try_init(|| self.provider(clients))
            .await?;
        let credential = tokio::time::timeout(CREDENTIALS, provider.get_credential()).await;
        let credential = credential
            .map_err(|_| Cause::Credentials(format!("none within {} s", CREDENTIALS.as_secs())))?
            .map_err(|error| Cause::Credentials(chain(&error)))?;
        let texts = [Some(&credential.key_id), credential.token.as_ref()];
        let fit = texts
            .into_iter()
            .flatten()
            .all(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
        if fit {
            Ok(credential)
        } else {
            let text = "the key's id or the session token holds characters that no header can";
            Err(Cause::Credentials(text.to_owned()))
        }
    }

    async fn provider(&self, clients: &Clients) -> Result<AwsCredentialProvider, Cause> {
        let client = clients.free().await?.clone();
        let builder = AmazonS3Builder::new()
            // Credentials are not for one bucket, but the builder asks for one.
            .with_bucket_name("any")
            .with_http_connector(Connector(client))
            .with_retry(RetryConfig {
                max_retries: 2,
                retry_timeout: CREDENTIALS,
                ..RetryConfig::default()
            });
        let settings = self.settings.iter();
        let builder = settings
            .filter(|(key, _)| *key != AmazonS3ConfigKey::Bucket)
            .fold(builder, |builder, (key, value)| {
                builder.with_config(*key, value)
            });
        let store = builder
            .build()
            .map_err(|error| Cause::Credentials(chain(&error)))?;
        Ok(Arc::clone(store.credentials()))
    }

    fn region(&self) -> &str {
        self.get(&AmazonS3ConfigKey::Region)
            .or_else(|| self.get(&AmazonS3ConfigKey::DefaultRegion))
            .unwrap_or("us-east-1")
    }

    fn get(&self, wanted: &AmazonS3ConfigKey) -> Option<&str> {
        let found = self.settings.iter().find(|(key, _)| key == wanted);
        found.map(|(_, value)| value.as_str())
    }

    fn is_true(&self, key: &AmazonS3ConfigKey) -> bool {
        self.get(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }
}

/// Has services that hand out credentials asked with a client of ours.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_object_is() {
        let check = |variables: &[(&str, &str)], key: &str, expected: &str| {
            let owned: Vec<(String, String)> = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let url = Aws::new(&owned).url("b", key).map(String::from);
            let found = url.unwrap_or_else(|cause| cause.to_string());
            assert_eq!(found, expected, "{variables:?}");
        };
        check(
            &[],
            "a/m.mar",
            "https://s3.us-east-1.amazonaws.com/b/a/m.mar",
        );
        check(
            &[("AWS_DEFAULT_REGION", "eu-west-1")],
            "my m+ü.mar",
            "https://s3.eu-west-1.amazonaws.com/b/my%20m%2B%C3%BC.mar",
        );
        check(
            &[
                ("AWS_REGION", "eu-west-2"),
                ("AWS_DEFAULT_REGION", "eu-west-1"),
                ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true"),
            ],
            "m.mar",
            "https://b.s3.eu-west-2.amazonaws.com/m.mar",
        );
        let endpoint = ("AWS_ENDPOINT_URL", "http://minio:9000/");
        check(&[endpoint], "m.mar", "http://minio:9000/b/m.mar");
        let hosted = ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true");
        check(&[endpoint, hosted], "m.mar", "http://minio:9000/m.mar");
        let special = ("AWS_ENDPOINT_URL_S3", "https://s3.local");
        check(&[endpoint, special], "m.mar", "https://s3.local/b/m.mar");
        check(
            &[("AWS_ENDPOINT_URL", "minio:9000")],
            "m.mar",
            "the url cannot be read: AWS_ENDPOINT_URL: expected http or https, found minio",
        );
    }

    #[test]
    fn secrets_are_not_printed() {
        let aws = Aws::new(&[("AWS_SECRET_ACCESS_KEY".into(), "hush".into())]);
        assert_eq!(format!("{aws:?}"), "[SecretAccessKey]");
    }
}
