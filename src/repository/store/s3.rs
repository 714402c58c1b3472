//! S3 and what speaks it: where requests go, in which region, and with whose keys.

use http::{Method, Request};
use opendal::Operator;
use opendal::services::S3;

use super::Fault;
use super::answer::fault;
use super::http::Http;
use super::keys::{Keys, Signer};
use super::transport::{Service, Transport};

/// Where none is named, and what most services that are not Amazon's take for any.
const REGION: &str = "us-east-1";
const AMAZON: [&str; 2] = [".amazonaws.com", ".amazonaws.com.cn"];
/// Those that want the bucket in the name of the host, as restic knows them.
const BY_HOST: [&str; 3] = ["amazonaws.com", "amazonaws.com.cn", "aliyuncs.com"];

/// How a bucket is named in requests (restic's `s3.bucket-lookup`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lookup {
    /// In the name of the host where the service is known to want it.
    #[default]
    Auto,
    Dns,
    Path,
}

#[derive(Clone)]
pub(super) struct Bucket {
    pub(super) endpoint: String,
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) lookup: Lookup,
    pub(super) region: Option<String>,
    pub(super) keys: Keys,
}

impl Bucket {
    fn host(&self) -> &str {
        self.endpoint.split_once("://").map_or("", |(_, host)| host)
    }

    fn is_amazon(&self) -> bool {
        AMAZON.iter().any(|name| self.host().ends_with(name))
    }

    /// A bucket with a dot has no certificate as a name of a host.
    fn by_host(&self) -> bool {
        match self.lookup {
            Lookup::Auto => !self.name.contains('.') && BY_HOST.iter().any(|name| self.host().ends_with(name)),
            Lookup::Dns => true,
            Lookup::Path => false,
        }
    }

    /// `s3.REGION.amazonaws.com`, `s3-REGION.amazonaws.com`, `s3.dualstack.REGION.amazonaws.com`.
    fn region_of_host(&self) -> Option<&str> {
        let name = AMAZON.iter().find_map(|suffix| self.host().strip_suffix(suffix))?;
        let name = name.strip_prefix(&format!("{}.", self.name)).unwrap_or(name);
        let region = name.strip_prefix("s3.dualstack.").or(name.strip_prefix("s3.")).or(name.strip_prefix("s3-"))?;
        (region.contains('-') && !region.contains('.')).then_some(region)
    }

    /// Amazon tells anybody where a bucket is.
    async fn region(&self, http: &Http) -> Result<String, Fault> {
        if let Some(region) = self.region.as_deref().or(self.region_of_host()) {
            return Ok(region.to_owned());
        }
        if !self.is_amazon() {
            return Ok(REGION.to_owned());
        }
        let request = Request::builder().method(Method::HEAD).uri(format!("{}/{}", self.endpoint, self.name));
        let request = request.body(Vec::new()).map_err(|error| Fault::Broken(error.to_string()))?;
        let response = http.send(request).await?;
        let region = response.headers().get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
        Ok(region.unwrap_or(REGION).to_owned())
    }

    pub(super) async fn open(self, http: Http) -> Result<Operator, Fault> {
        let region = self.region(&http).await?;
        // Signed by our transport, which tells why there are no keys.
        let builder = S3::default()
            .endpoint(&self.endpoint)
            .bucket(&self.name)
            .root(&self.prefix)
            .region(&region)
            .checksum_algorithm("md5")
            .disable_config_load()
            .skip_signature();
        let builder = if self.by_host() { builder.enable_virtual_host_style() } else { builder };
        let operator = Operator::new(builder).map_err(|error| fault(&error))?;
        let signer = Signer::new(self.keys, region, http.clone());
        Ok(Transport::new(http, Service::S3(signer)).under(operator))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(host: &str, name: &str) -> Bucket {
        Bucket {
            endpoint: format!("https://{host}"),
            name: name.to_owned(),
            prefix: String::new(),
            lookup: Lookup::Auto,
            region: None,
            keys: Keys::Instance { endpoint: None },
        }
    }

    #[test]
    fn regions_are_read_from_the_hosts_of_amazon() {
        for (host, region) in [
            ("s3.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("s3-eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("s3.dualstack.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("bucket.s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("s3.amazonaws.com", None),
            ("s3.eu-west-1.example.com", None),
        ] {
            assert_eq!(bucket(host, "bucket").region_of_host(), region, "{host}");
        }
    }

    #[test]
    fn buckets_are_hosts_only_where_that_is_known_to_work() {
        assert!(bucket("s3.amazonaws.com", "a").by_host());
        assert!(!bucket("s3.amazonaws.com", "a.b").by_host());
        assert!(!bucket("127.0.0.1:9000", "a").by_host());
        assert!(Bucket { lookup: Lookup::Dns, ..bucket("host", "a") }.by_host());
        assert!(!Bucket { lookup: Lookup::Path, ..bucket("s3.amazonaws.com", "a") }.by_host());
    }
}
