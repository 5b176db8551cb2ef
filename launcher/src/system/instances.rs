//! How an instance of a service is run.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::home::Secrets;
use crate::platform::{Options, Transport};
use crate::ports::loopback;
use crate::process::{Probe, Spec};

use super::environment::{Facts, environment};
use super::services::{Service, ServicePorts};
use super::settings;

/// How to see that a service on these ports can serve.
pub fn probe(service: &Service, ports: ServicePorts, transport: &Transport) -> Probe {
    let authority = transport.authority().filter(|_| service.has_certificate);
    Probe::Http {
        address: loopback(ports.admin.unwrap_or(ports.main)),
        path: "/ready".to_owned(),
        authority: authority.map(Path::to_owned),
    }
}

/// How to run one instance of a service.
pub fn spec(service: &Service, index: u32, ports: ServicePorts, options: &Options, secrets: &Secrets) -> Spec {
    let layout = &options.layout;
    let address = loopback(ports.main);
    let name = instance_name(service.name, index);
    let facts = Facts {
        layout,
        ports: &options.ports,
        secrets,
        transport: &options.transport,
        program: service.binary,
    };
    let mut environment = environment(facts);
    environment.push(("BROKERX_INSTANCE".to_owned(), format!("{}-{index}", service.name)));
    environment.push(("BROKERX_LISTEN".to_owned(), address.to_string()));
    if let Some(admin) = ports.admin {
        environment.push(("BROKERX_ADMIN_LISTEN".to_owned(), loopback(admin).to_string()));
    }
    Spec {
        log: layout.log(&name),
        name,
        program: layout.binary(service.binary),
        arguments: Vec::new(),
        inherits: settings::settings(service.binary),
        environment,
        directory: layout.root().to_owned(),
        account: None,
        address,
        probe: probe(service, ports, &options.transport),
        ready_limit: Duration::from_secs(60),
        stop_signal: Signal::SIGTERM,
        stop_limit: Duration::from_secs(15),
        orphan_signal: options.orphan_signal(Signal::SIGTERM),
    }
}

/// The name of an instance: the first one is called like its service.
pub fn instance_name(service: &str, index: u32) -> String {
    if index == 0 {
        service.to_owned()
    } else {
        format!("{service}-{index}")
    }
}
