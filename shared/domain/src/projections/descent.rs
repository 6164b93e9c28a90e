//! Descent: which slot of a counted order holds the row at an offset.

/// The slot that holds the row at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descent<K> {
    /// The slot.
    pub slot: K,
    /// How many rows of the slot come before the row.
    pub skip: usize,
    /// How many rows the slot has.
    pub rows: usize,
}

/// Walks slots in the order of their rows and subtracts their numbers of rows from the offset
/// until a slot holds it. `None` if the offset is past the last row. A slot with a negative number
/// of rows, which only a counter in repair can have, counts as empty.
pub fn descend<K>(slots: impl IntoIterator<Item = (K, i128)>, offset: usize) -> Option<Descent<K>> {
    let mut skip = offset;
    for (slot, rows) in slots {
        let rows = usize::try_from(rows).unwrap_or(0);
        if skip < rows {
            return Some(Descent { slot, skip, rows });
        }
        skip -= rows;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_is_the_one_whose_rows_cover_the_offset() {
        let slots = [('a', 3), ('b', 0), ('c', -1), ('d', 2)];
        let found = |offset| descend(slots, offset).map(|found| (found.slot, found.skip, found.rows));

        assert_eq!(found(0), Some(('a', 0, 3)));
        assert_eq!(found(2), Some(('a', 2, 3)));
        assert_eq!(found(3), Some(('d', 0, 2)));
        assert_eq!(found(4), Some(('d', 1, 2)));
        assert_eq!(found(5), None);
    }
}
