//! Bounds of partitions as the server writes them, as far as one can tell from their texts that two of them have no row in common.

/// Whether no row can lie within both. False where that is not known: only the server can tell what its types' values mean, so that only numbers, and
/// texts of digits in the same form, such as dates, are put in order here.
pub fn apart(one: &str, other: &str) -> bool {
    match (list(one), list(other)) {
        (Some(one), Some(other)) => one.iter().all(|value| !other.contains(value)),
        (None, None) => match (range(one), range(other)) {
            (Some((from, to)), Some((other_from, other_to))) => {
                is_before_or_at(to, other_from) || is_before_or_at(other_to, from)
            }
            _ => false,
        },
        _ => false,
    }
}

/// The values of `FOR VALUES IN (...)`.
fn list(bound: &str) -> Option<Vec<&str>> {
    let values = bound.strip_prefix("FOR VALUES IN (")?.strip_suffix(')')?;
    let values: Vec<&str> = values.split(", ").collect();
    values.iter().all(|value| is_plain(value)).then_some(values)
}

/// The two values of `FOR VALUES FROM (...) TO (...)` over one column.
fn range(bound: &str) -> Option<(&str, &str)> {
    let (from, to) = bound.strip_prefix("FOR VALUES FROM (")?.strip_suffix(')')?.split_once(") TO (")?;
    (is_plain(from) && is_plain(to)).then_some((from, to))
}

/// A number or a text of which it is plain where it ends.
fn is_plain(value: &str) -> bool {
    let inner = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')).unwrap_or(value);
    !inner.is_empty() && inner.chars().all(|c| c.is_alphanumeric() || " -:.+_".contains(c))
}

fn is_before_or_at(one: &str, other: &str) -> bool {
    let inner = |value: &'_ str| value.trim_matches('\'').to_owned();
    let (one, other) = (inner(one), inner(other));
    if let (Ok(one), Ok(other)) = (one.parse::<i128>(), other.parse::<i128>()) {
        return one <= other;
    }
    let form = |text: &str| text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    // Years first, as the server writes dates for plumb; what has letters in it (BC, infinity) is in no such order.
    let is_date = |text: &str| text.get(..5).is_some_and(|year| form(year) == "0000-") && !text.contains(char::is_alphabetic);
    is_date(&one) && form(&one) == form(&other) && one <= other
}

#[cfg(test)]
mod tests {
    use super::apart;

    #[test]
    fn what_has_no_row_in_common() {
        let range = |from: &str, to: &str| format!("FOR VALUES FROM ({from}) TO ({to})");
        let year = |y: u32| range(&format!("'{y}-01-01'"), &format!("'{}-01-01'", y + 1));
        for (one, other, are) in [
            (year(2024), year(2025), true),
            (year(2026), year(2024), true),
            (year(2024), range("'2024-06-01'", "'2025-06-01'"), false),
            (range("1", "10"), range("10", "20"), true),
            (range("'1'", "'10'"), range("'10'", "'20'"), true),
            (range("9", "100"), range("20", "30"), false),
            (range("-5", "0"), range("0", "5"), true),
            (range("MINVALUE", "0"), range("5", "9"), true),
            (range("MINVALUE", "0"), range("MINVALUE", "9"), false),
            (range("5", "MAXVALUE"), range("9", "20"), false),
            (range("1, 1", "1, 2"), range("2, 1", "2, 2"), false),
            (range("'a'", "'b'"), range("'b'", "'c'"), false),
            (range("'0044-01-01 BC'", "'0043-01-01 BC'"), range("'0043-01-01 BC'", "'0042-01-01 BC'"), false),
            ("FOR VALUES IN (1, 2)".to_owned(), "FOR VALUES IN (3)".to_owned(), true),
            ("FOR VALUES IN (1, 2)".to_owned(), "FOR VALUES IN (2, 3)".to_owned(), false),
            ("FOR VALUES IN ('a')".to_owned(), "FOR VALUES IN ('b', NULL)".to_owned(), true),
            ("FOR VALUES IN ('a, b')".to_owned(), "FOR VALUES IN ('b')".to_owned(), false),
            ("FOR VALUES IN ('it''s')".to_owned(), "FOR VALUES IN ('b')".to_owned(), false),
            ("DEFAULT".to_owned(), year(2024), false),
            ("FOR VALUES WITH (modulus 2, remainder 0)".to_owned(), "FOR VALUES WITH (modulus 2, remainder 1)".to_owned(), false),
        ] {
            assert_eq!((apart(&one, &other), apart(&other, &one)), (are, are), "{one} and {other}");
        }
    }
}
