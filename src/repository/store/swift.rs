//! The session with a Swift service: which URL the containers are at, and a token that is renewed when it has expired.

use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use opendal::Operator;
use opendal::services::Swift;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Fault;
use super::answer::{Answer, fault};
use super::http::{Http, collect};
use super::transport::{Service, Transport};

/// A catalogue of services is some kilobytes.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// How to get a token.
#[derive(Clone)]
pub(super) enum Login {
    /// Given; nobody renews it.
    Token {
        storage_url: String,
        token: String,
    },
    V1 {
        url: String,
        user: String,
        key: String,
    },
    /// Keystone; the text is the body of the request.
    V2 {
        url: String,
        request: Value,
        region: Option<String>,
    },
    V3 {
        url: String,
        request: Value,
        region: Option<String>,
    },
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(***)")
    }
}

/// Users of Keystone, as the variables name them.
#[derive(Default)]
pub(super) struct Identity {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) user_domain: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) tenant_id: Option<String>,
    pub(super) tenant_domain: Option<String>,
    pub(super) application_id: Option<String>,
    pub(super) application_name: Option<String>,
    pub(super) application_secret: Option<String>,
}

impl Identity {
    pub(super) fn v2(self) -> Value {
        let mut auth = json!({ "passwordCredentials": { "username": self.user, "password": self.password } });
        if let Some(id) = self.tenant_id {
            auth["tenantId"] = id.into();
        } else if let Some(name) = self.tenant {
            auth["tenantName"] = name.into();
        }
        json!({ "auth": auth })
    }

    pub(super) fn v3(self) -> Value {
        let domain = |name: Option<String>| match name {
            Some(name) => json!({ "name": name }),
            None => json!({ "id": "default" }),
        };
        let user = json!({ "name": self.user, "domain": domain(self.user_domain.clone()) });
        if let Some(secret) = self.application_secret {
            let mut credential = json!({ "secret": secret });
            if let Some(id) = self.application_id {
                credential["id"] = id.into();
            } else {
                credential["name"] = self.application_name.into();
                credential["user"] = user;
            }
            // Such a credential belongs to one project, which it may not name again.
            return json!({ "auth": { "identity": { "methods": ["application_credential"], "application_credential": credential } } });
        }
        let mut with_password = user;
        with_password["password"] = self.password.into();
        let mut auth = json!({ "identity": { "methods": ["password"], "password": { "user": with_password } } });
        if let Some(id) = self.tenant_id {
            auth["scope"] = json!({ "project": { "id": id } });
        } else if let Some(name) = self.tenant {
            let domain = domain(self.tenant_domain.or(self.user_domain));
            auth["scope"] = json!({ "project": { "name": name, "domain": domain } });
        }
        json!({ "auth": auth })
    }
}

pub(super) struct Session {
    http: Http,
    login: Login,
    /// The URL of the containers, and the token.
    current: Mutex<Option<(String, HeaderValue)>>,
}

impl Session {
    pub(super) fn new(http: Http, login: Login) -> Self {
        Self { http, login, current: Mutex::new(None) }
    }

    pub(super) async fn token(&self) -> Result<HeaderValue, Fault> {
        Ok(self.logged_in().await?.1)
    }

    pub(super) async fn expired(&self) {
        *self.current.lock().await = None;
    }

    /// Whether another token can be had when one is refused.
    pub(super) fn renews(&self) -> bool {
        match &self.login {
            Login::Token { .. } => false,
            Login::V1 { .. } | Login::V2 { .. } | Login::V3 { .. } => true,
        }
    }

    async fn logged_in(&self) -> Result<(String, HeaderValue), Fault> {
        let mut current = self.current.lock().await;
        if let Some(current) = &*current {
            return Ok(current.clone());
        }
        let (url, token) = match &self.login {
            Login::Token { storage_url, token } => (storage_url.clone(), token.clone()),
            Login::V1 { url, user, key } => self.v1(url, user, key).await?,
            Login::V2 { url, request, region } => {
                let (_, answer) = self.post(&format!("{}/tokens", url.trim_end_matches('/')), request).await?;
                let token = answer.pointer("/access/token/id").and_then(Value::as_str).map(str::to_owned);
                let catalogue = answer.pointer("/access/serviceCatalog");
                (storage_url(catalogue, region.as_deref())?, token.ok_or_else(no_token)?)
            }
            Login::V3 { url, request, region } => {
                let (token, answer) = self.post(&format!("{}/auth/tokens", url.trim_end_matches('/')), request).await?;
                (storage_url(answer.pointer("/token/catalog"), region.as_deref())?, token.ok_or_else(no_token)?)
            }
        };
        let mut token = HeaderValue::from_str(&token).map_err(|_| no_token())?;
        token.set_sensitive(true);
        let new = (url, token);
        *current = Some(new.clone());
        Ok(new)
    }

    async fn v1(&self, url: &str, user: &str, key: &str) -> Result<(String, String), Fault> {
        let request = Request::builder().uri(url).header("X-Auth-User", user).header("X-Auth-Key", key);
        let request = request.body(Vec::new()).map_err(|error| Fault::Broken(error.to_string()))?;
        let response = self.http.send(request).await?;
        let (parts, body) = response.into_parts();
        if !parts.status.is_success() {
            let body = collect(body, ANSWER_BYTES_MAX).await?;
            return Err(refused(Answer::new(parts.status, &parts.headers, &body)));
        }
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let url = header("x-storage-url").ok_or_else(|| Fault::Broken("Swift names no storage URL".to_owned()))?;
        Ok((url, header("x-auth-token").ok_or_else(no_token)?))
    }

    /// The token of the header, and the answer.
    async fn post(&self, url: &str, body: &Value) -> Result<(Option<String>, Value), Fault> {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let request = Request::builder().method(Method::POST).uri(url).header("Content-Type", "application/json");
        let request = request.body(vec![Bytes::from(body)]).map_err(|error| Fault::Broken(error.to_string()))?;
        let (parts, body) = self.http.send(request).await?.into_parts();
        let body = collect(body, ANSWER_BYTES_MAX).await?;
        if !parts.status.is_success() {
            return Err(refused(Answer::new(parts.status, &parts.headers, &body)));
        }
        let answer = serde_json::from_slice(&body).map_err(|error| Fault::Broken(error.to_string()))?;
        let token = parts.headers.get("x-subject-token").and_then(|value| value.to_str().ok());
        Ok((token.map(str::to_owned), answer))
    }
}

/// A URL that is not there is a wrong one.
fn refused(answer: Answer) -> Fault {
    match answer.status {
        StatusCode::NOT_FOUND => {
            Fault::Broken("there is no service for logins at the URL: correct OS_AUTH_URL or ST_AUTH".to_owned())
        }
        _ => answer.fault,
    }
}

fn no_token() -> Fault {
    Fault::Broken("the service for logins gave no token".to_owned())
}

/// Of the object store, in the region if one is named. Version 2 says `publicURL`, version 3 has an interface for each.
fn storage_url(catalogue: Option<&Value>, region: Option<&str>) -> Result<String, Fault> {
    let services = catalogue.and_then(Value::as_array).into_iter().flatten();
    let mut endpoints = services
        .filter(|service| service["type"] == "object-store")
        .filter_map(|service| service["endpoints"].as_array())
        .flatten()
        .filter(|endpoint| region.is_none_or(|region| endpoint["region"] == region));
    let public = |endpoint: &Value| match endpoint["publicURL"].as_str() {
        Some(url) => Some(url.to_owned()),
        None if endpoint["interface"] == "public" => endpoint["url"].as_str().map(str::to_owned),
        None => None,
    };
    endpoints.find_map(public).ok_or_else(|| {
        Fault::Broken(match region {
            Some(region) => format!("there is no object store in region {region}: correct OS_REGION_NAME"),
            None => "the account has no object store".to_owned(),
        })
    })
}

#[derive(Clone)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) login: Login,
}

impl Container {
    pub(super) async fn open(self, http: Http) -> Result<Operator, Fault> {
        let session = std::sync::Arc::new(Session::new(http.clone(), self.login));
        let (url, _) = session.logged_in().await?;
        let builder = Swift::default().endpoint(&url).container(&self.name).root(&self.prefix);
        let operator = Operator::new(builder).map_err(|error| fault(&error))?;
        Ok(Transport::new(http, Service::Swift(session)).under(operator))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as the fields have it")]
    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    /// As the documentation of Keystone has them; version 2 and application credentials are asked of no server.
    #[test]
    fn logins_are_as_documented() {
        let identity =
            || Identity { user: text("me"), password: text("secret"), tenant: text("shop"), ..Identity::default() };
        let v2 = json!({ "auth": { "passwordCredentials": { "username": "me", "password": "secret" }, "tenantName": "shop" } });
        assert_eq!(identity().v2(), v2);
        let user = json!({ "name": "me", "domain": { "id": "default" }, "password": "secret" });
        let scope = json!({ "project": { "name": "shop", "domain": { "name": "ours" } } });
        let v3 = json!({ "auth": { "identity": { "methods": ["password"], "password": { "user": user } }, "scope": scope } });
        assert_eq!(Identity { tenant_domain: text("ours"), ..identity() }.v3(), v3);
        let application =
            Identity { application_id: text("id"), application_secret: text("secret"), ..Identity::default() };
        let credential = json!({ "id": "id", "secret": "secret" });
        let v3 = json!({ "identity": { "methods": ["application_credential"], "application_credential": credential } });
        assert_eq!(application.v3()["auth"], v3);
    }

    #[test]
    fn the_object_store_is_found_in_the_catalogue() {
        let v2 = json!([{ "type": "compute", "endpoints": [{ "publicURL": "https://compute" }] },
            { "type": "object-store", "endpoints": [{ "region": "a", "publicURL": "https://a" }, { "region": "b", "publicURL": "https://b" }] }]);
        let v3 = json!([{ "type": "object-store", "endpoints": [
            { "interface": "internal", "region": "b", "url": "https://inside" }, { "interface": "public", "region": "b", "url": "https://b" }] }]);
        assert_eq!(storage_url(Some(&v2), None), Ok("https://a".to_owned()));
        for catalogue in [&v2, &v3] {
            assert_eq!(storage_url(Some(catalogue), Some("b")), Ok("https://b".to_owned()));
            assert!(
                storage_url(Some(catalogue), Some("c"))
                    .is_err_and(|fault| fault.to_string().contains("OS_REGION_NAME"))
            );
        }
        assert!(storage_url(None, None).is_err());
    }
}
