//! Hosts on one link: a bridge and a network namespace each, which needs root and the program `ip`.
//!
//! Promises: the namespaces are gone when the test is, whatever happened. Where they cannot be made,
//! a test is skipped with a line that says so, unless `STARLING_TEST_REQUIRE` names `netns`.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::skip::skip;
use crate::support::{Node, run_with_input, starling};

static LINKS: AtomicUsize = AtomicUsize::new(0);

/// Some hosts and the bridge between them.
pub struct Link {
    name: String,
    hosts: usize,
}

impl Link {
    /// Makes that many hosts, or none with the reason said and counted.
    pub fn new(hosts: usize) -> Option<Self> {
        let number = LINKS.fetch_add(1, Ordering::Relaxed);
        let link = Self { name: format!("star{}-{number}", std::process::id()), hosts };
        match link.make() {
            Ok(()) => Some(link),
            Err(reason) => {
                skip("netns", &reason);
                None
            }
        }
    }

    fn make(&self) -> Result<(), String> {
        let hub = self.hub();
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "bridge", "up"])?;
        for host in 0..self.hosts {
            let (namespace, port) = (self.namespace(host), port(host));
            ip(&["netns", "add", &namespace])?;
            ip(&[
                "-n", &hub, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &namespace,
            ])?;
            ip(&["-n", &hub, "link", "set", &port, "master", "bridge", "up"])?;
            ip(&["-n", &namespace, "address", "add", &format!("{}/24", address(host)), "dev", "eth0"])?;
            ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
            ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
            ip(&["-n", &namespace, "route", "add", "default", "dev", "eth0"])?;
        }
        Ok(())
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.name)
    }

    fn namespace(&self, host: usize) -> String {
        format!("{}-{host}", self.name)
    }

    /// Starts a node on a host and waits until it serves.
    pub fn start(&self, host: usize, directory: &Path, more: &[&str]) -> Node {
        let up = starling(["up", "--name", ["a", "b", "c", "d"][host]]);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(host)]).arg(up.get_program()).args(up.get_args());
        for (name, value) in up.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Node::launch(&directory.join(host.to_string()), {
            command.args(more);
            command
        })
        .serving()
    }

    /// Takes the cable out of a host's port of the bridge: what it sends is lost, and nobody is told.
    pub fn cut(&self, host: usize) {
        ip(&["-n", &self.hub(), "link", "set", &port(host), "down"]).expect("a link can be cut");
    }

    /// Puts the cable back.
    pub fn heal(&self, host: usize) {
        ip(&["-n", &self.hub(), "link", "set", &port(host), "up"]).expect("a link can be healed");
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let hosts = (0..self.hosts).map(|host| self.namespace(host));
        for namespace in hosts.chain([self.hub()]) {
            // One that was never made cannot be deleted.
            let _ = ip(&["netns", "delete", &namespace]);
        }
    }
}

fn port(host: usize) -> String {
    format!("port{host}")
}

/// The IPv4 address of a host.
pub fn address(host: usize) -> String {
    format!("10.47.10.{}", host + 1)
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// Runs a command against a node with this on its standard input.
pub fn tell(node: &Node, args: &[&str], input: &str) {
    run_with_input(node.command(args), input).expect(0);
}
