//! Plans built by hand, for the tests of the renderers.

use serde_json::Map;
use std::collections::BTreeMap;

use super::document::{FORMAT, Fingerprints, Group, LockFact, Plan, PlanStep, Proof, Reverse, Source, UnmanagedDifference};
use crate::catalog::{Catalog, Id};
use crate::change::Scope;
use crate::hazard::{Hazard, Level};
use crate::statement::LockMode;

/// A step with nothing special about it.
pub fn step(id: u32, phase: &str, change: &str, object: Id, sql: &[&str]) -> PlanStep {
    let reason = match change {
        "create" => "it is in the wanted schema and not in the database",
        "drop" => "it is in the database and not in the wanted schema",
        _ => "it differs",
    };
    PlanStep {
        id,
        phase: phase.into(),
        sql: sql.iter().map(|s| (*s).to_owned()).collect(),
        change: change.into(),
        reason: reason.into(),
        reverse: Reverse { sql: None, why: Some("PostgreSQL has no statement that takes this back".into()) },
        ..PlanStep::of(object)
    }
}

impl PlanStep {
    fn at(mut self, file: &str, line: usize) -> PlanStep {
        self.source = Some(Source { file: file.into(), line });
        self
    }

    fn back(mut self, sql: &[&str]) -> PlanStep {
        self.reverse = Reverse { sql: Some(sql.iter().map(|s| (*s).to_owned()).collect()), why: None };
        self
    }

    fn locks(mut self, relation: &str, mode: LockMode, brief: bool) -> PlanStep {
        self.locks.push(LockFact { relation: relation.into(), mode, brief });
        self
    }

    fn hurts(mut self, code: &str, message: &str, refused: bool) -> PlanStep {
        self.hazards.push(Hazard {
            level: if refused { Level::Refused } else { Level::Warning },
            code: code.into(),
            message: message.into(),
            at: None,
            ignored: None,
        });
        self
    }

    fn differs(mut self, fields: &[&str], before: &str, definition: &str) -> PlanStep {
        self.fields = fields.iter().map(|f| (*f).to_owned()).collect();
        self.reason = format!("{} differs", self.fields.join(", "));
        (self.before, self.definition) = (Some(before.into()), Some(definition.into()));
        self
    }

    fn because(mut self, reason: &str) -> PlanStep {
        self.reason = reason.into();
        self
    }
}

/// A plan of these steps, cut where `alone` says.
pub fn plan(steps: Vec<PlanStep>, alone: &[u32]) -> Plan {
    let mut groups: Vec<Group> = Vec::new();
    for step in steps {
        let transactional = !alone.contains(&step.id);
        match groups.last_mut().filter(|g| g.transactional && transactional) {
            Some(group) => group.steps.push(step),
            None => groups.push(Group { id: groups.len() as u32 + 1, transactional, after: None, steps: vec![step] }),
        }
    }
    Plan {
        format: FORMAT,
        plumb: "0.1.0".into(),
        server: 160_004,
        id: String::new(),
        database: "app".into(),
        takes_back: None,
        up_to: None,
        role: "deploy".into(),
        roles: vec!["app_reader".into(), "deploy".into()],
        from: Fingerprints { scope: "a1".repeat(32), closure: "b2".repeat(32), objects: BTreeMap::new() },
        to: "c3".repeat(32),
        to_objects: BTreeMap::new(),
        scope: Scope::new(&Catalog::default(), &["billing".into(), "public".into()]),
        groups,
        pending: Vec::new(),
        unmanaged: Vec::new(),
        outside_scope: Vec::new(),
        proposals: Vec::new(),
        warnings: Vec::new(),
        proof: Proof::Equal { server: 160_004, copy: "schema-only copy".into() },
        observed: Map::from_iter([("proof_seconds".to_owned(), 1.8.into())]),
        seals: BTreeMap::new(),
    }
    .seal()
}

const VIEW: &str = "CREATE VIEW public.active_orders AS\n SELECT o.id,\n    o.status,\n    o.total\n   FROM public.orders o\n  WHERE (o.status = 'active'::text)";
const FUNCTION: &str = "CREATE OR REPLACE FUNCTION public.may_read(tenant uuid)\n RETURNS boolean\n LANGUAGE sql\n STABLE\nAS $function$\n  SELECT tenant = current_setting('app.tenant')::uuid\n$function$";

/// The plan of OUTPUT.md and more: every kind of line that there is.
pub fn realistic() -> Plan {
    let id = |class: &str, name: &[&str]| Id::new(class, name.iter().copied());
    let orders = id("table", &["public", "orders"]);
    let documents = id("table", &["public", "documents"]);
    let may_read = Id::with_args("function", ["public", "may_read"], Some(vec!["uuid".into()]));
    let longer: String = (0..20).map(|n| format!("  PERFORM audit_{n}(tenant);\n")).collect();
    let exclusive = LockMode::AccessExclusive;
    let steps = vec![
        step(
            1,
            "expand",
            "create",
            id("table", &["billing", "invoices"]),
            &["CREATE TABLE billing.invoices (\n    id uuid NOT NULL,\n    total numeric(12,2)\n)"],
        )
        .at("schema/billing/invoices.sql", 1)
        .back(&["DROP TABLE billing.invoices"]),
        step(
            2,
            "expand",
            "create",
            id("index", &["public", "orders_tenant_idx"]),
            &["CREATE INDEX CONCURRENTLY orders_tenant_idx ON public.orders USING btree (tenant_id)"],
        )
        .at("schema/orders.sql", 14)
        .back(&["DROP INDEX public.orders_tenant_idx"])
        .locks("public.orders", LockMode::ShareUpdateExclusive, false),
        step(
            3,
            "expand",
            "alter",
            id("policy", &["public", "documents", "tenant_isolation"]),
            &["ALTER POLICY tenant_isolation ON public.documents USING (((tenant_id = current_tenant()) OR shared))"],
        )
        .differs(
            &["using"],
            "CREATE POLICY tenant_isolation ON public.documents USING ((tenant_id = current_tenant()))",
            "CREATE POLICY tenant_isolation ON public.documents USING (((tenant_id = current_tenant()) OR shared))",
        )
        .at("schema/rls.sql", 22)
        .back(&["ALTER POLICY tenant_isolation ON public.documents USING ((tenant_id = current_tenant()))"])
        .locks("public.documents", exclusive, true)
        .hurts("widens-rights", "rows with shared = true become visible to every tenant", true),
        step(
            4,
            "expand",
            "alter",
            id("view", &["public", "active_orders"]),
            &["CREATE OR REPLACE VIEW public.active_orders AS ..."],
        )
        .differs(&["columns", "query"], VIEW, &VIEW.replace("    o.total\n", "    o.total,\n    o.currency\n"))
        .at("schema/views.sql", 3)
        .locks("public.active_orders", exclusive, true),
        step(5, "expand", "alter", may_read, &["CREATE OR REPLACE FUNCTION ..."])
            .differs(
                &["definition"],
                FUNCTION,
                &FUNCTION.replace(" STABLE\n", " STABLE SECURITY DEFINER\n").replace("  SELECT", &format!("{longer}  SELECT")),
            )
            .at("schema/functions/a_rather_long_folder/with_a_rather_long_file_name_in_it_for_rights.sql", 1204),
        step(6, "expand", "alter", documents, &["ALTER TABLE public.documents ENABLE ROW LEVEL SECURITY"])
            .differs(
                &["row_security"],
                "CREATE TABLE public.documents ()",
                "CREATE TABLE public.documents ();\nALTER TABLE public.documents ENABLE ROW LEVEL SECURITY",
            )
            .back(&["ALTER TABLE public.documents DISABLE ROW LEVEL SECURITY"])
            .locks("public.documents", exclusive, true),
        step(7, "expand", "alter", Id::satellite("owner", &orders), &["ALTER TABLE public.orders OWNER TO app_owner"])
            .because("role differs")
            .back(&["ALTER TABLE public.orders OWNER TO postgres"]),
        step(
            8,
            "expand",
            "alter",
            Id::satellite("grant", &orders),
            &["REVOKE INSERT ON TABLE public.orders FROM app_reader", "GRANT SELECT ON TABLE public.orders TO app_reader"],
        )
        .because("privileges differs")
        .back(&["REVOKE SELECT ON TABLE public.orders FROM app_reader", "GRANT INSERT ON TABLE public.orders TO app_reader"]),
        step(9, "migrate", "drop", id("view", &["public", "revenue"]), &["DROP VIEW public.revenue"])
            .because("it rests on column public.orders.total, which is changed")
            .back(&["CREATE VIEW public.revenue AS SELECT ..."])
            .locks("public.revenue", exclusive, true),
        step(
            10,
            "migrate",
            "alter",
            id("column", &["public", "orders", "total"]),
            &["ALTER TABLE public.orders ALTER COLUMN total TYPE numeric(14,4)"],
        )
        .differs(
            &["type"],
            "ALTER TABLE public.orders ADD COLUMN total numeric(12,2)",
            "ALTER TABLE public.orders ADD COLUMN total numeric(14,4)",
        )
        .locks("public.orders", exclusive, false)
        .hurts("rewrites", "public.orders is written anew while nobody can read or write it", false),
        step(11, "migrate", "create", id("view", &["public", "revenue"]), &["CREATE VIEW public.revenue AS SELECT ..."])
            .because("it rests on column public.orders.total, which is changed")
            .at("schema/views.sql", 40),
        step(
            12,
            "contract",
            "drop",
            id("column", &["public", "orders", "legacy_code"]),
            &["ALTER TABLE public.orders DROP COLUMN legacy_code"],
        )
        .locks("public.orders", exclusive, true)
        .hurts("loses-values", "612,003 of 1,204,551 rows hold a value", true),
    ];
    let mut plan = plan(steps, &[2]);
    let steps = &mut plan.groups[2].steps;
    steps[4].fields = vec!["role".into()];
    steps[5].fields = vec!["privileges".into()];
    steps[7].scans = vec!["public.orders".into()];
    steps[7].rewrites = vec!["public.orders".into()];
    steps[8].after = vec![(9, "view public.revenue goes before column public.orders.total changes its type".into())];
    steps[9].after = vec![(9, "view public.revenue uses column public.orders.legacy_code now".into())];
    steps[7].after = vec![(9, "view public.revenue uses column public.orders.total now".into())];
    steps[8].after.push((10, "view public.revenue needs column public.orders.total, says pg_depend".into()));
    steps[9].reverse = Reverse {
        sql: Some(vec!["ALTER TABLE public.orders ADD COLUMN legacy_code text".into()]),
        why: Some("it brings back the definition, not what it held".into()),
    };
    let unmanaged = |class: &str, identity: &str, side: &str| UnmanagedDifference {
        class: class.into(),
        identity: identity.into(),
        side: side.into(),
    };
    plan.unmanaged = vec![
        unmanaged("text search configuration", "public.german_unaccent", "live"),
        unmanaged("operator", "public.===(integer,integer)", "desired"),
        unmanaged("cast", "(text AS public.mood)", "both"),
    ];
    plan.outside_scope = ["table audit.events", "table audit.sessions", "view metrics.daily", "schema audit", "schema metrics"]
        .map(str::to_owned)
        .to_vec();
    plan.warnings =
        vec!["column-order: public.orders.currency stands second in schema/orders.sql and is added at the end".into()];
    plan.seal()
}

/// Names and definitions that try to leave their place.
pub fn hostile() -> Plan {
    let name = "x\n; DROP TABLE users; --\u{1b}[2J\u{202e}";
    let table = Id::new("table", ["public", name]);
    let long = "列".repeat(80);
    let steps = vec![
        step(1, "expand", "create", table.clone(), &["CREATE TABLE public.\"x\n; DROP TABLE users; --\u{1b}[2J\u{202e}\" ()"])
            .at("schema/\r\n\\! reboot.sql", 1)
            .because("because\n\\! reboot"),
        step(2, "expand", "create", Id::new("column", ["public", name, &long]), &["SELECT 1 -- open"])
            .at(&format!("schema/{long}.sql"), 7),
        step(3, "contract", "drop", Id::satellite("comment", &table), &["COMMENT ON TABLE x IS NULL"])
            .locks("public.\"x\n\"", LockMode::AccessExclusive, true)
            .hurts("loses-rows", "all rows of \"x\n\u{7}\" are lost", true),
    ];
    let mut plan = plan(steps, &[]);
    plan.proof = Proof::Unproven { reason: "the server\nhas no \"evil\u{1b}\"".into() };
    plan.warnings = vec!["a\nb".into()];
    plan.seal()
}

/// Nothing to do.
pub fn empty() -> Plan {
    let mut plan = plan(Vec::new(), &[]);
    plan.observed = Map::from_iter([("objects".to_owned(), 1204.into()), ("elapsed_seconds".to_owned(), 0.31.into())]);
    plan
}
