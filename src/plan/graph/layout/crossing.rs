//! The order within columns: each item goes where the mean of what it is joined to stands, again and again; the order with the
//! fewest crossings is kept.

use super::columns::Columns;

/// How often all columns are gone through.
const SWEEPS: usize = 8;

/// Finds an order with few crossings.
pub fn uncross(columns: &mut Columns) {
    let mut places = vec![0; columns.sizes.len()];
    number(columns, &mut places);
    let (mut best, mut fewest) = (columns.order.clone(), crossings(columns, &places));
    for sweep in 0..SWEEPS {
        let side = sweep % 2;
        let count = columns.order.len();
        for step in 0..count {
            let c = if side == 0 { step } else { count - 1 - step };
            let mean = |item: &usize| -> f64 {
                let joined = &columns.joined[side][*item];
                match joined.as_slice() {
                    [] => places[*item] as f64,
                    joined => joined.iter().map(|j| places[*j] as f64).sum::<f64>() / joined.len() as f64,
                }
            };
            let mut keyed: Vec<(f64, usize)> = columns.order[c].iter().map(|item| (mean(item), *item)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            columns.order[c] = keyed.into_iter().map(|(_, item)| item).collect();
            columns.order[c].iter().enumerate().for_each(|(place, item)| places[*item] = place);
        }
        let now = crossings(columns, &places);
        if now < fewest {
            (best, fewest) = (columns.order.clone(), now);
        }
        if fewest == 0 {
            break;
        }
    }
    columns.order = best;
}

fn number(columns: &Columns, places: &mut [usize]) {
    for items in &columns.order {
        items.iter().enumerate().for_each(|(place, item)| places[*item] = place);
    }
}

/// How many pairs of lines cross, over all columns: inversions, counted with a Fenwick tree.
fn crossings(columns: &Columns, places: &[usize]) -> usize {
    let mut total = 0;
    for pair in columns.order.windows(2) {
        let mut tree = vec![0usize; pair[1].len() + 1];
        let mut seen = 0;
        for left in &pair[0] {
            let mut ends: Vec<usize> = columns.joined[1][*left].iter().map(|right| places[*right]).collect();
            ends.sort_unstable();
            for end in &ends {
                let (mut not_above, mut at) = (0, end + 1);
                while at > 0 {
                    not_above += tree[at];
                    at &= at - 1;
                }
                total += seen - not_above;
            }
            for end in &ends {
                let mut at = end + 1;
                while at < tree.len() {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
                seen += 1;
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossings_that_can_go_go() {
        let sizes = [(10.0, 10.0); 6];
        let mut columns = Columns::new(&sizes, &[(0, 5), (1, 4), (2, 3)]);
        let mut places = vec![0; 6];
        number(&columns, &mut places);
        assert_eq!(crossings(&columns, &places), 3);
        uncross(&mut columns);
        number(&columns, &mut places);
        assert_eq!(crossings(&columns, &places), 0);
    }
}
