//! Finds out which peers are measured: their versions from Cargo.lock, std's from the compiler.
//!
//! Each becomes an environment variable `PEER_<NAME>` of the build, read in `src/versions.rs`.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = env::var("CARGO_MANIFEST_DIR")?;
    let lock = Path::new(&manifest)
        .ancestors()
        .map(|folder| folder.join("Cargo.lock"))
        .find(|lock| lock.is_file())
        .ok_or("no Cargo.lock in this folder or above")?;
    println!("cargo::rerun-if-changed={}", lock.display());
    for (name, version) in versions_of_dependencies(&fs::read_to_string(lock)?, "peers") {
        println!("cargo::rustc-env=PEER_{}={version}", name.to_uppercase().replace('-', "_"));
    }
    let compiler = Command::new(env::var("RUSTC")?).arg("--version").output()?;
    let compiler = String::from_utf8(compiler.stdout)?;
    // rustc 1.88.0 (6b00bc388 2025-06-23)
    let version = compiler.split(' ').nth(1).ok_or("rustc --version: not as expected")?;
    println!("cargo::rustc-env=PEER_RUSTC=rustc {version}");
    Ok(())
}

/// The version that `package` got of each of its dependencies, as Cargo.lock has it.
fn versions_of_dependencies(lock: &str, package: &str) -> Vec<(String, String)> {
    let mut versions = HashMap::new();
    let mut wanted = Vec::new();
    for entry in lock.split("[[package]]").skip(1) {
        let (Some(name), Some(version)) = (field(entry, "name"), field(entry, "version")) else {
            continue;
        };
        versions.insert(name, version);
        if name == package {
            wanted = dependencies(entry);
        }
    }
    wanted
        .into_iter()
        .filter_map(|wanted| {
            // Just the name, or `name version` if there are several versions of it.
            let mut words = wanted.split(' ');
            let name = words.next()?;
            let version = words.next().or_else(|| versions.get(name).copied())?;
            Some((name.to_owned(), version.to_owned()))
        })
        .collect()
}

/// The value of a line `key = "value"`.
fn field<'a>(entry: &'a str, key: &str) -> Option<&'a str> {
    entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'))
}

fn dependencies(entry: &str) -> Vec<&str> {
    entry
        .lines()
        .skip_while(|line| *line != "dependencies = [")
        .skip(1)
        .map_while(|line| line.trim().strip_prefix('"')?.strip_suffix("\","))
        .collect()
}
