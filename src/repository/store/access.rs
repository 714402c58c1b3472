//! Which variables give access to which service: those of restic and the keys of Stash's Secrets.

use std::path::PathBuf;

use url::Url;

use super::buckets::{Azure, Backblaze, Google, GoogleLogin};
use super::keys::Keys;
use super::s3::{Bucket, Lookup};
use super::swift::{self, Container, Identity};
use crate::repository::address::{Address, Login};

const AZURE: &str = "core.windows.net";

/// All that is needed to ask a service.
pub(super) enum Entry {
    Folder(PathBuf),
    S3(Bucket),
    Google(Google),
    Azure(Azure),
    Backblaze(Backblaze),
    Swift(Container),
    Rest { url: Url, login: Option<Login> },
}

type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;
/// Names of variables that are missing.
type Missing = Vec<&'static str>;

pub(super) fn entry(address: &Address, variable: Variable, lookup: Lookup) -> Result<Entry, Missing> {
    match address {
        Address::Local(path) => Ok(Entry::Folder(path.clone())),
        Address::S3 { endpoint, bucket, prefix } => Ok(Entry::S3(Bucket {
            endpoint: endpoint.clone(),
            name: bucket.clone(),
            prefix: prefix.clone(),
            lookup,
            region: variable("AWS_DEFAULT_REGION").or_else(|| variable("AWS_REGION")),
            keys: keys(variable)?,
        })),
        Address::Gcs { bucket, prefix } => Ok(Entry::Google(Google {
            bucket: bucket.clone(),
            prefix: prefix.clone(),
            login: google(variable),
            endpoint: emulator(variable),
        })),
        Address::Azure { container, prefix } => azure(container, prefix, variable).map(Entry::Azure),
        Address::B2 { bucket, prefix } => {
            let [id, key] = all(variable, ["B2_ACCOUNT_ID", "B2_ACCOUNT_KEY"])?;
            let (bucket, prefix) = (bucket.clone(), prefix.clone());
            Ok(Entry::Backblaze(Backblaze { bucket, prefix, id, key, api: variable("B2_API_URL") }))
        }
        Address::Swift { container, prefix } => {
            let login = swift(variable)?;
            Ok(Entry::Swift(Container { name: container.clone(), prefix: prefix.clone(), login }))
        }
        Address::Rest { url, login } => {
            let login = login.clone().or_else(|| rest(variable));
            Ok(Entry::Rest { url: url.clone(), login })
        }
    }
}

/// The values of all, or the names of those that have none.
fn all<const N: usize>(variable: Variable, names: [&'static str; N]) -> Result<[String; N], Missing> {
    let values = names.map(variable);
    let missing: Missing =
        names.iter().zip(&values).filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
    if missing.is_empty() { Ok(values.map(Option::unwrap_or_default)) } else { Err(missing) }
}

fn keys(variable: Variable) -> Result<Keys, Missing> {
    const NAMES: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    if NAMES.iter().any(|name| variable(name).is_some()) {
        let [id, secret] = all(variable, NAMES)?;
        return Ok(Keys::Static { id, secret, token: variable("AWS_SESSION_TOKEN") });
    }
    match (variable("AWS_ROLE_ARN"), variable("AWS_WEB_IDENTITY_TOKEN_FILE")) {
        (Some(arn), Some(file)) => Ok(Keys::Role {
            arn,
            token_file: file.into(),
            session: variable("AWS_ROLE_SESSION_NAME"),
            endpoint: variable("AWS_ENDPOINT_URL_STS"),
        }),
        (Some(_), None) => Err(vec!["AWS_WEB_IDENTITY_TOKEN_FILE"]),
        (None, Some(_)) => Err(vec!["AWS_ROLE_ARN"]),
        (None, None) => Ok(Keys::Instance { endpoint: variable("AWS_EC2_METADATA_SERVICE_ENDPOINT") }),
    }
}

fn google(variable: Variable) -> GoogleLogin {
    if let Some(token) = variable("GOOGLE_ACCESS_TOKEN") {
        GoogleLogin::Token(token)
    } else if let Some(key) = variable("GOOGLE_SERVICE_ACCOUNT_JSON_KEY") {
        GoogleLogin::Key(key)
    } else if let Some(path) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
        GoogleLogin::File(path)
    } else if emulator(variable).is_some() {
        GoogleLogin::Nobody
    } else {
        GoogleLogin::Instance
    }
}

/// As Google's own libraries read it.
fn emulator(variable: Variable) -> Option<String> {
    let host = variable("STORAGE_EMULATOR_HOST")?;
    Some(if host.contains("://") { host } else { format!("http://{host}") })
}

fn azure(container: &str, prefix: &str, variable: Variable) -> Result<Azure, Missing> {
    let (key, sas) = (variable("AZURE_ACCOUNT_KEY"), variable("AZURE_ACCOUNT_SAS"));
    let one = if sas.is_none() { vec!["AZURE_ACCOUNT_NAME", "AZURE_ACCOUNT_KEY"] } else { vec!["AZURE_ACCOUNT_NAME"] };
    let missing: Missing = one.into_iter().filter(|name| variable(name).is_none()).collect();
    let Some(account) = variable("AZURE_ACCOUNT_NAME").filter(|_| missing.is_empty()) else { return Err(missing) };
    let suffix = variable("AZURE_ENDPOINT_SUFFIX").unwrap_or_else(|| AZURE.to_owned());
    let endpoint = variable("AZURE_STORAGE_ENDPOINT").unwrap_or_else(|| format!("https://{account}.blob.{suffix}"));
    Ok(Azure { container: container.to_owned(), prefix: prefix.to_owned(), endpoint, account, key, sas })
}

/// The version of the login is in its URL, as in restic.
fn swift(variable: Variable) -> Result<swift::Login, Missing> {
    if let (Some(storage_url), Some(token)) = (variable("OS_STORAGE_URL"), variable("OS_AUTH_TOKEN")) {
        return Ok(swift::Login::Token { storage_url, token });
    }
    let either = |one: &str, other: &str| variable(one).or_else(|| variable(other));
    let Some(url) = either("OS_AUTH_URL", "ST_AUTH") else { return Err(vec!["OS_AUTH_URL (or ST_AUTH)"]) };
    let identity = Identity {
        user: either("OS_USERNAME", "ST_USER"),
        password: either("OS_PASSWORD", "ST_KEY"),
        user_domain: variable("OS_USER_DOMAIN_NAME"),
        tenant: either("OS_PROJECT_NAME", "OS_TENANT_NAME"),
        tenant_id: either("OS_PROJECT_ID", "OS_TENANT_ID"),
        tenant_domain: variable("OS_PROJECT_DOMAIN_NAME"),
        application_id: variable("OS_APPLICATION_CREDENTIAL_ID"),
        application_name: variable("OS_APPLICATION_CREDENTIAL_NAME"),
        application_secret: variable("OS_APPLICATION_CREDENTIAL_SECRET"),
    };
    let region = variable("OS_REGION_NAME");
    let has_application = identity.application_secret.is_some() && url.contains("v3");
    let (user, password) = match (identity.user.clone(), identity.password.clone()) {
        (Some(user), Some(password)) => (user, password),
        _ if has_application => (String::new(), String::new()),
        (None, None) => return Err(vec!["OS_USERNAME (or ST_USER)", "OS_PASSWORD (or ST_KEY)"]),
        (None, Some(_)) => return Err(vec!["OS_USERNAME (or ST_USER)"]),
        (Some(_), None) => return Err(vec!["OS_PASSWORD (or ST_KEY)"]),
    };
    Ok(if url.contains("v3") {
        swift::Login::V3 { url, request: identity.v3(), region }
    } else if url.contains("v2") {
        swift::Login::V2 { url, request: identity.v2(), region }
    } else {
        swift::Login::V1 { url, user, key: password }
    })
}

/// Restic's names, or Stash's.
fn rest(variable: Variable) -> Option<Login> {
    let pairs = [("RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"), ("REST_SERVER_USERNAME", "REST_SERVER_PASSWORD")];
    pairs.into_iter().find_map(|(user, password)| {
        Some(Login { user: variable(user)?, password: variable(password).unwrap_or_default() })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn tried(address: &str, variables: &[(&str, &str)]) -> Result<Entry, Missing> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        let variable = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        entry(&address.parse().unwrap(), &variable, Lookup::Auto)
    }

    fn missing(address: &str, variables: &[(&str, &str)]) -> Missing {
        tried(address, variables).err().unwrap_or_default()
    }

    #[test]
    fn all_that_is_missing_is_named() {
        let azure = "azure:container:/";
        assert_eq!(missing(azure, &[]), ["AZURE_ACCOUNT_NAME", "AZURE_ACCOUNT_KEY"]);
        assert_eq!(missing(azure, &[("AZURE_ACCOUNT_SAS", "x")]), ["AZURE_ACCOUNT_NAME"]);
        assert_eq!(missing(azure, &[("AZURE_ACCOUNT_NAME", "x")]), ["AZURE_ACCOUNT_KEY"]);
        assert_eq!(missing("b2:bucket", &[("B2_ACCOUNT_KEY", "x")]), ["B2_ACCOUNT_ID"]);
        assert_eq!(missing("s3:host/bucket", &[("AWS_ACCESS_KEY_ID", "x")]), ["AWS_SECRET_ACCESS_KEY"]);
        assert_eq!(missing("s3:host/bucket", &[("AWS_ROLE_ARN", "x")]), ["AWS_WEB_IDENTITY_TOKEN_FILE"]);
        let swift = "swift:container:/";
        assert_eq!(missing(swift, &[]), ["OS_AUTH_URL (or ST_AUTH)"]);
        assert_eq!(missing(swift, &[("ST_AUTH", "x"), ("ST_USER", "x")]), ["OS_PASSWORD (or ST_KEY)"]);
        for enough in ["s3:host/bucket", "gs:bucket:/", "rest:http://host/", "/folder"] {
            assert!(tried(enough, &[]).is_ok(), "{enough}");
        }
    }

    #[test]
    fn services_are_where_the_variables_say() {
        let azure = [("AZURE_ACCOUNT_NAME", "me"), ("AZURE_ACCOUNT_KEY", "x")];
        let endpoint = |more: &[(&str, &str)]| match tried("azure:container:/", &[&azure[..], more].concat()) {
            Ok(Entry::Azure(azure)) => azure.endpoint,
            _ => String::new(),
        };
        assert_eq!(endpoint(&[]), "https://me.blob.core.windows.net");
        assert_eq!(
            endpoint(&[("AZURE_ENDPOINT_SUFFIX", "core.chinacloudapi.cn")]),
            "https://me.blob.core.chinacloudapi.cn"
        );
        let Ok(Entry::Google(google)) = tried("gs:bucket:/", &[("STORAGE_EMULATOR_HOST", "host:1")]) else { panic!() };
        assert_eq!(google.endpoint.as_deref(), Some("http://host:1"));
        assert!(matches!(google.login, GoogleLogin::Nobody));
    }

    #[test]
    fn the_login_of_swift_is_of_the_version_in_its_url() {
        let login = |url: &str, more: &[(&str, &str)]| {
            let user = [("OS_AUTH_URL", url), ("OS_USERNAME", "me"), ("OS_PASSWORD", "secret")];
            match tried("swift:container:/", &[&user[..], more].concat()) {
                Ok(Entry::Swift(container)) => container.login,
                _ => panic!("{url}"),
            }
        };
        assert!(matches!(login("https://host/auth/v1.0", &[]), swift::Login::V1 { .. }));
        assert!(matches!(login("https://host/v2.0", &[]), swift::Login::V2 { .. }));
        assert!(matches!(login("https://host/v3", &[]), swift::Login::V3 { .. }));
        let token = [("OS_STORAGE_URL", "https://host/v1/me"), ("OS_AUTH_TOKEN", "token")];
        assert!(matches!(login("https://host/v3", &token), swift::Login::Token { .. }));
    }
}
