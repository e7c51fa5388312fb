//! `plumb approve PLAN`: signs a plan's id, so that exactly what was read is what may be applied.

use clap::Args;
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::apply::asked;
use super::approval::{NAMESPACE, approvers, beside, read, signatures};
use super::failure::Failure;
use super::plan::write_file;
use super::prove::read_plan;
use super::workspace::Workspace;
use super::{Outcome, terminal};
use crate::config::Approver;
use crate::exit_code::{DONE, REFUSED};
use crate::plan::{Plan, text};

/// `plumb approve`.
#[derive(Args, Debug)]
pub struct ApproveOptions {
    /// The plan.
    pub plan: PathBuf,
    /// Your private key, an ed25519 one as `ssh-keygen -t ed25519` makes it [default: ~/.ssh/id_ed25519].
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Where the approvals lie [default: the plan's file with `.approvals`].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// The command.
pub async fn run(options: &ApproveOptions, workspace: &Workspace) -> Outcome {
    let plan = read_plan(&options.plan)?;
    let out = options.out.clone().unwrap_or_else(|| beside(&options.plan));
    let key = key(options.key.as_deref(), &plan, &out)?;
    let who = Approver(key.public_key().clone());
    workspace.say(&summary(&plan, workspace))?;
    let known = workspace.config.approvers.iter().any(|a| a.0.key_data() == who.0.key_data());
    if !known {
        let listed = who.0.to_openssh().unwrap_or_default();
        workspace.progress.line(&format!(
            "warning: plumb.toml does not list this key, so that it approves nothing there: approvers = [\"{listed}\"]"
        ));
    }
    let before = read(&out).map_err(|why| Failure::new("system::write", why))?;
    if !approvers(&plan.id, &before, std::slice::from_ref(&who)).is_empty() {
        workspace.say(&format!("Plan {} is approved by {} already.\n", plan.short_id(), who.name()))?;
        return Ok(DONE);
    }
    workspace.say(&format!("Approving plan {} as {}.\n", plan.short_id(), who.name()))?;
    if !options.yes {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::new("approve::unasked", "nobody can be asked whether this plan is approved")
                .help("add --yes where no person is at the terminal")
                .exit(REFUSED));
        }
        if !asked(workspace).await? {
            return Ok(REFUSED);
        }
    }
    let wrong = |e: ssh_key::Error| Failure::new("approve::key", format!("the plan cannot be signed: {e}"));
    let signature = key.sign(NAMESPACE, HashAlg::Sha512, plan.id.as_bytes()).map_err(wrong)?;
    let pem = signature.to_pem(LineEnding::LF).map_err(wrong)?;
    write_file(&out, &(kept(&before, &plan) + pem.trim_end() + "\n"))?;
    workspace.say(&format!("Written to {}.\n", out.display()))?;
    Ok(DONE)
}

/// Signatures of other plans in the same file are of no use any more: those of an earlier state of this one.
fn kept(before: &str, plan: &Plan) -> String {
    let mut text = String::new();
    for signature in signatures(before) {
        let of = ssh_key::PublicKey::from(signature.public_key().clone());
        if of.verify(NAMESPACE, plan.id.as_bytes(), &signature).is_ok()
            && let Ok(pem) = signature.to_pem(LineEnding::LF)
        {
            _ = writeln!(text, "{}", pem.trim_end());
        }
    }
    text
}

/// What is approved, as `plumb plan` shows it.
fn summary(plan: &Plan, workspace: &Workspace) -> String {
    let options = text::Options {
        width: terminal::width(std::io::stdout()),
        color: workspace.color,
        verbose: workspace.progress.verbose(),
        ..text::Options::default()
    };
    text::render(plan, &options) + "\n"
}

fn key(path: Option<&Path>, plan: &Plan, out: &Path) -> Result<PrivateKey, Failure> {
    let usual = || std::env::home_dir().map(|home| home.join(".ssh/id_ed25519"));
    let Some(path) = path.map(Path::to_owned).or_else(usual) else {
        return Err(Failure::new("approve::key", "no key is named").help("name your private key with --key FILE"));
    };
    let shown = path.display();
    let help = "name an ed25519 key with --key FILE; `ssh-keygen -t ed25519` makes one";
    let text = std::fs::read_to_string(&path)
        .map_err(|e| Failure::new("approve::key", format!("{shown} cannot be read: {e}")).help(help))?;
    let by_ssh =
        format!("let ssh-keygen sign: printf %s {} | ssh-keygen -Y sign -n {NAMESPACE} -f {shown} >> {}", plan.id, out.display());
    let key = PrivateKey::from_openssh(&text).map_err(|_| {
        let public = ssh_key::PublicKey::from_openssh(&text).is_ok();
        let what =
            if public { "is the public key; its owner signs with the private one" } else { "is no private key of OpenSSH" };
        Failure::new("approve::key", format!("{shown} {what}")).help(help)
    })?;
    if key.is_encrypted() {
        return Err(Failure::new("approve::key", format!("{shown} is locked with a passphrase, which plumb does not ask for"))
            .help(by_ssh));
    }
    if key.algorithm() != ssh_key::Algorithm::Ed25519 {
        return Err(Failure::new("approve::key", format!("{shown} is a key of another kind ({})", key.algorithm())).help(help));
    }
    Ok(key)
}
