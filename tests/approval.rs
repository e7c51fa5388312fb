//! Only what somebody has read and signed may be applied, where plumb.toml says so.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use support::desk::{Desk, desk};

fn key(seed: u8, comment: &str) -> PrivateKey {
    PrivateKey::new(KeypairData::from(Ed25519Keypair::from_seed(&[seed; 32])), comment).unwrap()
}

/// A plan of one table, the keys of two people, and a configuration that wants `needed` of ann and ben.
fn prepared(d: &Desk<'_>, needed: &str) {
    for (seed, name) in [(1, "ann"), (2, "ben"), (3, "eve")] {
        let key = key(seed, &format!("{name}@example.com"));
        d.place.write(name, &key.to_openssh(LineEnding::LF).unwrap());
        d.place.write(&format!("{name}.pub"), &key.public_key().to_openssh().unwrap());
    }
    let listed = ["ann", "ben"].map(|name| format!("\"{}\"", d.place.read(&format!("{name}.pub")).trim())).join(", ");
    d.place.write("plumb.toml", &format!("require_approval = {needed}\napprovers = [{listed}]\n"));
    d.place.write("schema/t.sql", "CREATE TABLE t (a int);\n");
    d.exits(2, "plan --db $DB --out plan.json");
}

fn refused(d: &Desk<'_>, words: &str) {
    let done = d.exits(3, "apply plan.json --db $DB --yes --allow all");
    let said = done.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("apply::unapproved") && said.contains(words), "{words}: {}", done.stderr);
}

async fn applied(d: &Desk<'_>) -> bool {
    d.number("SELECT count(*) FROM pg_class WHERE relname = 't'").await == 1
}

#[test]
fn a_plan_is_applied_when_it_is_signed_by_whom_the_configuration_lists() {
    desk("approve", async |d| {
        prepared(d, "true");
        refused(d, "approved by nobody and needs 1");
        let asked = d.exits(3, "approve plan.json --key ann");
        assert!(asked.stderr.contains("approve::unasked"), "nobody is there to be asked: {}", asked.stderr);
        refused(d, "nobody");
        // eve is not listed, and is told so
        let eve = d.exits(0, "approve plan.json --key eve --yes");
        assert!(eve.stderr.contains("does not list this key"), "{}", eve.stderr);
        refused(d, "of nobody who may approve");
        let ann = d.exits(0, "approve plan.json --key ann --yes");
        assert!(ann.stdout.contains("CREATE TABLE") || ann.stdout.contains("table public.t"), "she sees it: {}", ann.stdout);
        let again = d.exits(0, "approve plan.json --key ann --yes");
        assert!(again.stdout.contains("already"), "{}", again.stdout);
        let done = d.exits(0, "apply plan.json --db $DB --yes");
        assert!(done.stdout.contains("Approved by ann@example.com."), "{}", done.stdout);
        assert!(applied(d).await);
    });
}

#[test]
fn two_means_two_people() {
    desk("approvetwo", async |d| {
        prepared(d, "2");
        d.exits(0, "approve plan.json --key ann --yes");
        let twice = d.place.read("plan.json.approvals").repeat(2);
        d.place.write("plan.json.approvals", &twice);
        refused(d, "approved by ann@example.com and needs 2");
        let done = d.exits(3, "apply plan.json --db $DB --yes --allow all");
        assert!(!done.stderr.contains("not of this plan"), "it is of this plan, and hers: {}", done.stderr);
        // a key that is listed twice is still one person's
        let config = d.place.read("plumb.toml");
        let ann = format!("\"{}\"", d.place.read("ann.pub").trim());
        d.place.write("plumb.toml", &config.replace("approvers = [", &format!("approvers = [{ann}, ")));
        refused(d, "and needs 2");
        d.exits(0, "approve plan.json --key ben --yes");
        d.exits(0, "apply plan.json --db $DB --yes");
        assert!(applied(d).await);
    });
}

#[test]
fn nothing_but_the_bytes_that_were_signed_counts() {
    desk("approvebytes", async |d| {
        prepared(d, "true");
        d.exits(0, "approve plan.json --key ann --yes");
        let approvals = d.place.read("plan.json.approvals");
        // another plan: the signature is not of it
        d.place.write("schema/t.sql", "CREATE TABLE t (a int, b int);\n");
        d.exits(2, "plan --db $DB --out plan.json");
        refused(d, "needs 1");
        // a signature for something else
        let plan: serde_json::Value = serde_json::from_str(&d.place.read("plan.json")).unwrap();
        let id = plan["id"].as_str().unwrap();
        let other = key(1, "").sign("git", HashAlg::Sha512, id.as_bytes()).unwrap().to_pem(LineEnding::LF).unwrap();
        d.place.write("plan.json.approvals", &other);
        refused(d, "needs 1");
        for damaged in [
            "",
            "-----BEGIN SSH SIGNATURE-----",
            &approvals.replace("AAAA", "BBBB"),
            &approvals[..approvals.len() / 2],
            "\u{1b}[2J",
        ] {
            d.place.write("plan.json.approvals", damaged);
            refused(d, "needs 1");
        }
        // what ssh-keygen -Y sign -n plumb writes is of the same form
        let own = key(2, "").sign("plumb", HashAlg::Sha256, id.as_bytes()).unwrap().to_pem(LineEnding::CRLF).unwrap();
        d.place.write("plan.json.approvals", &format!("by hand\n{own}\n"));
        d.exits(0, "apply plan.json --db $DB --yes");
    });
}

#[test]
fn a_plan_that_nobody_could_read_is_not_applied() {
    desk("approvenone", async |d| {
        prepared(d, "true");
        let done = d.exits(3, "apply --db $DB --yes");
        assert!(done.stderr.contains("apply::unapproved"), "{}", done.stderr);
        assert!(!applied(d).await);
        // an environment may ask for less or more than the configuration
        let config = d.place.read("plumb.toml");
        d.place.write("plumb.toml", &format!("{config}[env.test]\nurl = \"{}\"\nrequire_approval = false\n", d.db));
        d.exits(0, "apply plan.json --env test --yes");
        assert!(applied(d).await);
    });
}

#[test]
fn keys_that_cannot_sign_are_named() {
    desk("approvekeys", async |d| {
        prepared(d, "true");
        for (file, words) in [("ann.pub", "is the public key"), ("plan.json", "no private key"), ("nowhere", "cannot be read")] {
            let done = d.exits(1, &format!("approve plan.json --yes --key {file}"));
            assert!(done.stderr.contains("approve::key") && done.stderr.contains(words), "{}", done.stderr);
        }
        d.place.write("plumb.toml", "approvers = [\"ssh-rsa nonsense\"]\n");
        let done = d.exits(1, "plan --db $DB");
        assert!(done.stderr.contains("config::value") && done.stderr.contains("plumb.toml:1:"), "{}", done.stderr);
        d.place.write("plumb.toml", "require_approval = \"yes\"\n");
        let done = d.exits(1, "plan --db $DB");
        assert!(done.stderr.contains("config::value") && done.stderr.contains("how many"), "{}", done.stderr);
    });
}
