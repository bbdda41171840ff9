//! The service account of a pod.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::server::{Server, pki};
use crate::{Place, assert_reached};

/// Where the kubelet mounts it: in a mount namespace of its own, so that the machine does not see it.
const MOUNTED: &str = "mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io && \
    cp -r account /run/secrets/kubernetes.io/serviceaccount && exec \"$0\" plan \"$1\" --engine kubernetes --to 1";

#[test]
#[ignore = "needs root"]
fn the_service_account_is_used_and_the_server_may_be_on_ipv6() {
    let server = Server::start("[::1]:0", Some("server.pem"));
    let place = Place::new();
    let account = place.path().join("account");
    fs::create_dir(&account).unwrap();
    fs::copy(pki("ca.pem"), account.join("ca.crt")).unwrap();
    fs::write(account.join("namespace"), "here").unwrap();
    fs::write(account.join("token"), "of the pod").unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/runc/memory-capacity.yaml");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", MOUNTED, env!("CARGO_BIN_EXE_ramp"), manifest.to_str().unwrap()])
        .current_dir(place.path())
        .env_clear()
        .envs([("HOME", "/nonexistent"), ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("COLUMNS", "1000")])
        .envs([
            ("KUBERNETES_SERVICE_HOST", "::1"),
            ("KUBERNETES_SERVICE_PORT", &server.address.port().to_string()),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_reached(&said);
    assert_eq!(server.versions()[0].authorization.as_deref(), Some("Bearer of the pod"));
}
