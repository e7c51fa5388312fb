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

    fn left_over(columns: &mut Columns) -> usize {
        let mut places = vec![0; columns.sizes.len()];
        uncross(columns);
        number(columns, &mut places);
        crossings(columns, &places)
    }

    #[test]
    fn crossings_are_counted() {
        let mut columns = Columns::new(&[(10.0, 10.0); 6], &[(0, 5), (1, 4), (2, 3)]);
        columns.order = vec![vec![0, 1, 2], vec![3, 4, 5]];
        let mut places = vec![0; 6];
        number(&columns, &mut places);
        assert_eq!(crossings(&columns, &places), 3);
        assert_eq!(left_over(&mut columns), 0);
    }

    #[test]
    fn what_hangs_on_one_box_stands_together() {
        let arrows: Vec<(usize, usize)> = (0..300).map(|n| (n * 7 % 40, 40 + n)).collect();
        assert_eq!(left_over(&mut Columns::new(&[(10.0, 10.0); 340], &arrows)), 0);
        // Tables with an index each, and foreign keys that join them to a tree; in two columns that cannot do without.
        let key = |n: usize| [(n / 3, 200 + n), (n, 200 + n)];
        let arrows: Vec<(usize, usize)> = (0..100).map(|n| (n, 100 + n)).chain((1..100).flat_map(key)).collect();
        let left = left_over(&mut Columns::new(&[(10.0, 10.0); 300], &arrows));
        assert!(left <= 820, "{left} crossings");
    }
}
