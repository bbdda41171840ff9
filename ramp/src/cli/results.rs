//! Arguments of the commands that serve and fetch results.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ramp_format::time::parse_time;

/// The address of `--serve` without one: of this machine only.
pub const LOCAL_ADDRESS: &str = "127.0.0.1:8080";

/// The HTTP server of a run or a study.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeOption {
    /// Serve the page, as of now, and the files by HTTP while it runs; without credentials, so by default on this machine only
    /// [ADDRESS default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = LOCAL_ADDRESS, value_parser = address)]
    pub serve: Option<SocketAddr>,
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Run directory or study directory
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = LOCAL_ADDRESS, value_parser = address)]
    pub listen: SocketAddr,

    /// End after this time [default: once interrupted]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    pub duration: Option<Duration>,
}

/// Arguments of `fetch`.
#[derive(Clone, Debug, Args)]
pub struct FetchArgs {
    /// Name of the Job
    #[arg(value_name = "JOB", default_value = "study")]
    pub job: String,

    /// Directory of the copy: new, or one that was fetched before, to which what is new is added [default: JOB]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Keep fetching until the Job has ended
    #[arg(long)]
    pub follow: bool,

    /// Do not report on the copy
    #[arg(long)]
    pub no_report: bool,

    /// Namespace of the Job
    #[arg(long, value_name = "NAME", default_value = "workload")]
    pub namespace: String,

    /// Kubeconfig context
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Fetch from this URL instead of the Job's pod, where the API server does not reach pods: kubectl port-forward job/JOB 8080
    #[arg(long, value_name = "URL", conflicts_with_all = ["namespace", "context"])]
    pub from: Option<String>,
}

/// `HOST:PORT`, `:PORT` of all addresses, or `PORT` of this machine.
fn address(text: &str) -> Result<SocketAddr, String> {
    let of = |ip: Ipv4Addr, port: &str| port.parse().ok().map(|port| SocketAddr::new(IpAddr::V4(ip), port));
    let local = text.strip_prefix("localhost:").unwrap_or(text);
    let port_only = || match text.strip_prefix(':') {
        Some(port) => of(Ipv4Addr::UNSPECIFIED, port),
        None => of(Ipv4Addr::LOCALHOST, local),
    };
    text.parse()
        .ok()
        .or_else(port_only)
        .ok_or_else(|| "expected IP:PORT, such as 127.0.0.1:8080, or :PORT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_this_machine_unless_they_say_otherwise() {
        let shown = |text| address(text).map(|address| address.to_string());
        for text in ["127.0.0.1:8080", "localhost:8080", "8080"] {
            assert_eq!(shown(text).as_deref(), Ok("127.0.0.1:8080"), "{text}");
        }
        assert_eq!(shown(":8080").as_deref(), Ok("0.0.0.0:8080"));
        assert_eq!(shown("[::]:8080").as_deref(), Ok("[::]:8080"));
        assert!(
            shown("example.org:80").is_err() && shown("deploy/x.yaml").is_err() && shown(":99999").is_err()
        );
    }
}
