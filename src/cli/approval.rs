//! Approvals: signatures of a plan's id by people whom `plumb.toml` lists, beside the plan's file. They are OpenSSH's own (SSHSIG, as
//! `ssh-keygen -Y sign -n plumb` makes them), so that keys of agents and of hardware sign too.

use ssh_key::SshSig;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::config::{Approver, Config};
use crate::exit_code::REFUSED;
use crate::plan::Plan;

/// What signatures are for, so that none for anything else counts.
pub const NAMESPACE: &str = "plumb";

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// Where the approvals of a plan lie.
pub fn beside(plan: &Path) -> PathBuf {
    let mut name = plan.file_name().unwrap_or_default().to_owned();
    name.push(".approvals");
    plan.with_file_name(name)
}

/// What lies there; nothing where nobody has approved yet.
///
/// # Errors
/// When it cannot be read, in words.
pub fn read(approvals: &Path) -> Result<String, String> {
    match std::fs::read_to_string(approvals) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(format!("{} cannot be read: {e}", approvals.display())),
    }
}

/// The signatures of a file, one after another; what stands between them is not looked at.
pub fn signatures(text: &str) -> Vec<SshSig> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        let Some(length) = rest[start..].find(END) else { break };
        let end = start + length + END.len();
        found.extend(SshSig::from_pem(&rest[start..end]));
        rest = &rest[end..];
    }
    found
}

/// Those of the approvers who have signed this id.
pub fn approvers<'a>(id: &str, text: &str, known: &'a [Approver]) -> Vec<&'a Approver> {
    let signatures = signatures(text);
    let signed = |a: &&Approver| signatures.iter().any(|s| a.0.verify(NAMESPACE, id.as_bytes(), s).is_ok());
    let mut keys = BTreeSet::new();
    known.iter().filter(signed).filter(|a| keys.insert(a.0.key_data().clone())).collect()
}

/// Makes sure that enough people have approved the plan; who it was. Nobody is needed unless the configuration says so.
///
/// # Errors
/// When there are too few.
pub fn approved<'a>(plan: &Plan, path: Option<&Path>, config: &'a Config) -> Result<Vec<&'a Approver>, Failure> {
    let needed = config.require_approval.unwrap_or(0) as usize;
    let Some(path) = path else {
        return match needed {
            0 => Ok(Vec::new()),
            _ => Err(Failure::new("apply::unapproved", "only an approved plan may be applied here (require_approval), and none is given")
                .help("apply the plan's own file, beside which its approvals lie: make it with `plumb plan --out FILE`, have it signed with `plumb approve FILE`")
                .exit(REFUSED)),
        };
    };
    let beside = beside(path);
    let text = read(&beside).map_err(|why| Failure::new("apply::unapproved", why))?;
    let found = approvers(&plan.id, &text, &config.approvers);
    if found.len() >= needed {
        return Ok(found);
    }
    let have: Vec<String> = found.iter().map(|a| a.name()).collect();
    let known: Vec<String> = config.approvers.iter().map(Approver::name).collect();
    // The same signature twice is one approval, and nothing that anybody has to look into.
    let counts = |s: &SshSig| config.approvers.iter().any(|a| a.0.verify(NAMESPACE, plan.id.as_bytes(), s).is_ok());
    let others = signatures(&text).iter().filter(|s| !counts(s)).count();
    let mut message = format!(
        "plan {} is approved by {} and needs {needed}",
        plan.short_id(),
        if have.is_empty() { "nobody".to_owned() } else { have.join(", ") }
    );
    if others > 0 {
        message += &format!(
            "\n{} {} not of this plan, or of nobody who may approve",
            beside.display(),
            match others {
                1 => "has a signature that is".to_owned(),
                n => format!("has {n} signatures that are"),
            }
        );
    }
    let help = match known.is_empty() {
        true => "list who may approve in plumb.toml: approvers = [\"ssh-ed25519 AAAA... ann@example.com\"]".to_owned(),
        false => format!("have it signed with `plumb approve {}` by: {}", path.display(), known.join(", ")),
    };
    Err(Failure::new("apply::unapproved", message).help(help).exit(REFUSED))
}
