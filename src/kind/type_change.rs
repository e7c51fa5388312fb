//! What a change from one type to another does to values, as far as the names of the types tell.

fn length(data_type: &str) -> Option<i64> {
    data_type.split_once('(').and_then(|(_, rest)| rest.split([',', ')']).next()?.parse().ok())
}

/// The type without what stands in brackets: `timestamp with time zone` of `timestamp(3) with time zone`.
pub fn base(data_type: &str) -> String {
    match (data_type.split_once('('), data_type.rsplit_once(')')) {
        (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
        _ => data_type.to_owned(),
    }
}

/// Whether PostgreSQL has to write every row anew for it (docs/locks.md C14 to C20), in a session whose time zone is UTC.
pub fn rewrites(old: &str, new: &str) -> bool {
    let is = |t: &str, all: &[&str]| all.contains(&t);
    let both = |all: &[&str]| is(old, all) && is(new, all);
    let texts = |t: &str| is(t, &["text", "character varying"]) || t.ends_with("citext");
    let same_digits = old.starts_with("numeric(")
        && (new == "numeric" || new.starts_with("numeric(") && scale(old) == scale(new) && length(old) <= length(new));
    let times = both(&["timestamp without time zone", "timestamp with time zone"]) || (old, new) == ("cidr", "inet");
    let bits = |t: &str| t == "bit varying" || t.starts_with("bit varying(");
    let more_bits = bits(old) && bits(new) && (length(new).is_none() || length(old).is_some_and(|o| Some(o) <= length(new)));
    let arrays = old.ends_with("[]") || new.ends_with("[]");
    old != new && (arrays || !(widens(old, new) || texts(old) && texts(new) || same_digits || more_bits || times))
}

/// Type changes by which nothing that uses the values notices anything.
pub fn widens(old: &str, new: &str) -> bool {
    let varchar = |t: &str| t.starts_with("character varying");
    match (varchar(old), varchar(new)) {
        (true, true) => length(new).is_none() || length(old).is_some_and(|o| Some(o) <= length(new)),
        (true, false) => new == "text",
        (false, true) => old == "text" && length(new).is_none(),
        _ => false,
    }
}

/// Type changes by which values can be cut, rounded or refused: fewer digits, fewer characters, or another family of types.
pub fn narrows(old: &str, new: &str) -> bool {
    const GROWING: &[(&str, &[&str])] = &[
        ("smallint", &["integer", "bigint", "numeric"]),
        ("integer", &["bigint", "numeric", "double precision"]),
        ("bigint", &["numeric"]),
        ("real", &["double precision"]),
        ("date", &["timestamp without time zone", "timestamp with time zone"]),
        ("json", &["jsonb"]),
    ];
    let grows = GROWING.iter().any(|(from, to)| *from == old && to.contains(&new))
        || new == "text"
        || old == "text" && new.ends_with("citext");
    // Digits before the point and those after it: one kind must not grow at the cost of the other.
    let longer = length(old).is_some_and(|before| {
        let (digits, more) = (scale(old), scale(new));
        length(new).is_some_and(|after| digits <= more && before - digits <= after - more)
    });
    let unlimited = UNLIMITED.contains(&new);
    old != new && !(grows || base(old) == base(new) && (longer || unlimited))
}

/// The largest values of the types of whole numbers.
const WHOLE: &[(&str, &str)] = &[("smallint", "32767"), ("integer", "2147483647"), ("bigint", "9223372036854775807")];

/// The condition under which a value of a column does not fit into another type, for the changes that are made often.
pub fn misfits(column: &str, old: &str, new: &str) -> Option<String> {
    let most = WHOLE.iter().find(|(t, _)| *t == new).map(|(_, most)| most);
    if let Some(most) = most.filter(|_| WHOLE.iter().any(|(t, _)| *t == old) || old.starts_with("numeric")) {
        return Some(format!("{column} NOT BETWEEN -{most} - 1 AND {most}"));
    }
    if new.starts_with("character varying(") && (old == "text" || old.starts_with("character varying")) && !old.ends_with("[]") {
        return Some(format!("length({column}) > {}", length(new)?));
    }
    (new.starts_with("numeric(") && !old.starts_with("text"))
        .then(|| Some(format!("abs({column}) >= 10::numeric ^ {}", length(new)? - scale(new))))
        .flatten()
}

/// Types that hold any length when none is said.
const UNLIMITED: &[&str] = &["numeric", "character varying", "bit varying"];

/// What stands after the comma: the digits after the point.
fn scale(data_type: &str) -> i64 {
    data_type.split_once(',').and_then(|(_, rest)| rest.split(')').next()?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_another_type() {
        assert_eq!(base("character varying(20)"), base("character varying"));
        assert_ne!(base("character varying(20)[]"), base("character varying(20)"));
        assert_eq!(base("timestamp(3) with time zone"), "timestamp with time zone");
    }

    #[test]
    fn more_bits_are_no_rewrite() {
        assert!(!rewrites("bit varying(5)", "bit varying(8)") && !rewrites("bit varying(5)", "bit varying"));
        assert!(rewrites("bit varying(8)", "bit varying(5)") && rewrites("bit varying", "bit varying(5)"));
        assert!(rewrites("bit(5)", "bit(8)") && rewrites("bit varying(5)[]", "bit varying(8)[]"));
    }

    #[test]
    fn digits_are_counted_on_both_sides_of_the_point() {
        for (old, new) in [
            ("numeric(10,2)", "numeric(12,2)"),
            ("numeric(10,2)", "numeric(12,4)"),
            ("numeric(10,2)", "numeric"),
            ("bit varying(5)", "bit varying"),
            ("integer", "bigint"),
            ("character(3)", "text"),
        ] {
            assert!(!narrows(old, new), "{old} {new}");
        }
        for (old, new) in [
            ("numeric(10,4)", "numeric(10,2)"),
            ("numeric(10,2)", "numeric(10,4)"),
            ("numeric", "numeric(10,2)"),
            ("character varying(20)", "character varying(10)"),
            ("bigint", "integer"),
            ("text", "integer"),
        ] {
            assert!(narrows(old, new), "{old} {new}");
        }
    }
}
