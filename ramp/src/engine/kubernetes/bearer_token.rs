//! Bearer token in the kubeconfig itself, as `oc login` writes it: it is valid for a day or less, and a run may outlive it.
//! (The client itself renews token files and credentials of exec plug-ins.)

use std::sync::{Arc, PoisonError, RwLock};

use http::header::{AUTHORIZATION, HeaderValue};
use kube::Config;
use secrecy::ExposeSecret;
use tower::util::MapRequestLayer;

/// The token, and where it was read.
#[derive(Clone, Debug)]
pub(super) struct BearerToken {
    context: Option<String>,
    /// The token must not be sent to another server.
    server: http::Uri,
    header: Arc<RwLock<HeaderValue>>,
}

impl BearerToken {
    /// Takes the token out of the configuration; [`layer`](Self::layer) adds it to requests instead.
    pub(super) fn take(config: &mut Config, context: Option<&str>) -> Option<Self> {
        let header = header(config)?;
        config.auth_info.token = None;
        let (context, server) = (context.map(str::to_owned), config.cluster_url.clone());
        Some(Self { context, server, header: Arc::new(RwLock::new(header)) })
    }

    /// Adds the current token to each request.
    pub(super) fn layer<B>(
        &self,
    ) -> MapRequestLayer<impl Fn(http::Request<B>) -> http::Request<B> + Clone + Send + 'static> {
        let header = self.header.clone();
        MapRequestLayer::new(move |mut request: http::Request<B>| {
            let token = header.read().unwrap_or_else(PoisonError::into_inner).clone();
            request.headers_mut().insert(AUTHORIZATION, token);
            request
        })
    }

    /// Reads the kubeconfig again: the user may have logged in again.
    pub(super) async fn read_again(&self) {
        // If it cannot be read now, the next 401 tries again.
        if let Ok(config) = super::kubeconfig::read(self.context.as_deref()).await {
            self.replace(&config);
        }
    }

    fn replace(&self, config: &Config) {
        // The current context may have changed.
        if let Some(found) = header(config).filter(|_| config.cluster_url == self.server) {
            *self.header.write().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }
}

fn header(config: &Config) -> Option<HeaderValue> {
    let user = &config.auth_info;
    // A plug-in takes precedence.
    let token = user.token.as_ref().filter(|_| user.exec.is_none() && user.auth_provider.is_none())?;
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use tower::{Layer, Service, ServiceExt, service_fn};

    use super::*;

    fn config(token: &str) -> Config {
        let mut config = Config::new("https://localhost".parse().unwrap());
        config.auth_info.token = Some(token.to_owned().into());
        config
    }

    #[tokio::test]
    async fn requests_bear_the_token_that_was_read_last() {
        let mut first = config("first");
        let token = BearerToken::take(&mut first, None).unwrap();
        assert!(first.auth_info.token.is_none(), "else the client would set it as well, for ever");
        let answer = service_fn(async |request: http::Request<()>| {
            Ok::<_, std::convert::Infallible>(request.headers()[AUTHORIZATION].clone())
        });
        let mut client = token.layer().layer(answer);
        let mut ask = async || client.ready().await.unwrap().call(http::Request::new(())).await.unwrap();
        assert_eq!(ask().await, "Bearer first");
        token.replace(&config("second"));
        assert_eq!(ask().await, "Bearer second");
        let mut elsewhere = config("third");
        elsewhere.cluster_url = "https://elsewhere".parse().unwrap();
        token.replace(&elsewhere);
        assert_eq!(ask().await, "Bearer second", "a token is told to its own server only");
        assert!(BearerToken::take(&mut Config::new("https://localhost".parse().unwrap()), None).is_none());
    }
}
