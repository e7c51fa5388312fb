//! Which box stands in which column, and how high it stands there.

use super::{Point, Size};

/// A long arrow bends at every column that it passes. More bends than this in all would be slow and not legible anyway.
const MOST_BENDS: usize = 20_000;
/// The height that a passing arrow takes.
const BEND: f64 = 6.0;

/// Boxes and bends, which are called items together: boxes first.
pub struct Columns {
    /// The size of each item.
    pub sizes: Vec<Size>,
    /// The column of each item.
    pub column: Vec<usize>,
    /// The items of each column from above.
    pub order: Vec<Vec<usize>>,
    /// Items that an item is joined to on its left, and on its right.
    pub joined: [Vec<Vec<usize>>; 2],
    /// The bends of each arrow.
    pub bends: Vec<Vec<usize>>,
    /// The width of each column.
    pub widths: Vec<f64>,
}

impl Columns {
    /// Each box stands one column behind the last one that it needs; what needs nothing stands as near as it can to what
    /// needs it.
    pub fn new(sizes: &[Size], arrows: &[(usize, usize)]) -> Columns {
        let column = columns(sizes.len(), arrows);
        let count = column.iter().max().map_or(0, |last| last + 1);
        let mut widths = vec![0.0; count];
        column.iter().zip(sizes).for_each(|(c, size)| widths[*c] = f64::max(widths[*c], size.0));
        let mut made = Columns {
            sizes: sizes.to_vec(),
            column,
            order: vec![Vec::new(); count],
            joined: [vec![Vec::new(); sizes.len()], vec![Vec::new(); sizes.len()]],
            bends: Vec::with_capacity(arrows.len()),
            widths,
        };
        let passed = |(a, b): &(usize, usize)| made.column[*b] - made.column[*a] - 1;
        let bend = arrows.iter().map(passed).sum::<usize>() <= MOST_BENDS;
        for arrow in arrows {
            made.arrow(*arrow, bend);
        }
        for item in made.in_depth() {
            made.order[made.column[item]].push(item);
        }
        made
    }

    /// All items, each followed by what hangs on it: a tree that is put down in this order has no crossing.
    fn in_depth(&self) -> Vec<usize> {
        let mut seen = vec![false; self.sizes.len()];
        let mut items = Vec::with_capacity(self.sizes.len());
        let mut open: Vec<usize> = (0..self.sizes.len()).rev().collect();
        while let Some(item) = open.pop() {
            if !std::mem::replace(&mut seen[item], true) {
                items.push(item);
                // Taken from the end: what is on the right first, in its own order.
                open.extend(self.joined[0][item].iter().chain(&self.joined[1][item]).rev());
            }
        }
        items
    }

    fn arrow(&mut self, (from, to): (usize, usize), bend: bool) {
        let passed = if bend { self.column[from] + 1..self.column[to] } else { 0..0 };
        let mut bends = Vec::with_capacity(passed.len());
        let mut last = from;
        for column in passed {
            let item = self.sizes.len();
            self.sizes.push((0.0, BEND));
            self.column.push(column);
            self.joined.iter_mut().for_each(|side| side.push(Vec::new()));
            self.join(last, item);
            bends.push(item);
            last = item;
        }
        // Without bends only neighbours draw each other near.
        if self.column[last] + 1 == self.column[to] {
            self.join(last, to);
        }
        self.bends.push(bends);
    }

    fn join(&mut self, left: usize, right: usize) {
        self.joined[1][left].push(right);
        self.joined[0][right].push(left);
    }

    /// The left edge of each column.
    pub fn lefts(&self, gap: f64) -> Vec<f64> {
        let place = |left: &mut f64, width: &f64| {
            let own = *left;
            *left += width + gap;
            Some(own)
        };
        self.widths.iter().scan(0.0, place).collect()
    }

    /// The upper edge of each item: as near to what it is joined to as the order and the space between allow.
    pub fn heights(&self, space: f64) -> Vec<f64> {
        let mut tops = vec![0.0; self.sizes.len()];
        for items in &self.order {
            let mut top = 0.0;
            for item in items {
                tops[*item] = top;
                top += self.sizes[*item].1 + space;
            }
        }
        for side in [0, 1, 0, 1, 0, 1] {
            let columns: Vec<usize> =
                if side == 0 { (0..self.order.len()).collect() } else { (0..self.order.len()).rev().collect() };
            columns.into_iter().for_each(|c| self.settle(&mut tops, &self.order[c], side, space));
        }
        let least = tops.iter().copied().fold(f64::INFINITY, f64::min);
        tops.iter().map(|top| (top - least).round()).collect()
    }

    /// Moves the items of one column: least squares with the order kept, by pooling adjacent violators.
    fn settle(&self, tops: &mut [f64], items: &[usize], side: usize, space: f64) {
        let middle = |tops: &[f64], item: usize| tops[item] + self.sizes[item].1 / 2.0;
        // Blocks of items that touch: sum of wishes, number of items.
        let mut blocks: Vec<(f64, usize)> = Vec::new();
        let mut offsets = Vec::with_capacity(items.len());
        let mut offset = 0.0;
        for item in items {
            let joined = &self.joined[side][*item];
            let wish = match joined.as_slice() {
                [] => tops[*item],
                joined => joined.iter().map(|j| middle(tops, *j)).sum::<f64>() / joined.len() as f64 - self.sizes[*item].1 / 2.0,
            };
            blocks.push((wish - offset, 1));
            while let [.., (a, n), (b, m)] = blocks[..]
                && a / n as f64 > b / m as f64
            {
                blocks.truncate(blocks.len() - 2);
                blocks.push((a + b, n + m));
            }
            offsets.push(offset);
            offset += self.sizes[*item].1 + space;
        }
        let mut at = 0;
        for (sum, count) in blocks {
            for place in at..at + count {
                tops[items[place]] = sum / count as f64 + offsets[place];
            }
            at += count;
        }
    }

    /// How much room all of it takes.
    pub fn size(&self, lefts: &[f64], tops: &[f64]) -> Point {
        let right = lefts.iter().zip(&self.widths).map(|(left, width)| left + width).fold(0.0, f64::max);
        let bottom = tops.iter().zip(&self.sizes).map(|(top, size)| top + size.1).fold(0.0, f64::max);
        (right, bottom)
    }
}

fn columns(count: usize, arrows: &[(usize, usize)]) -> Vec<usize> {
    let mut by_end: Vec<(usize, usize)> = arrows.to_vec();
    by_end.sort_by_key(|(_, to)| *to);
    let mut column = vec![0; count];
    for (from, to) in &by_end {
        column[*to] = column[*to].max(column[*from] + 1);
    }
    let mut nearest = vec![usize::MAX; count];
    let mut free = vec![true; count];
    for (from, to) in arrows {
        nearest[*from] = nearest[*from].min(column[*to]);
        free[*to] = false;
    }
    for n in (0..count).filter(|n| free[*n] && nearest[*n] != usize::MAX) {
        column[n] = nearest[n] - 1;
    }
    column
}
