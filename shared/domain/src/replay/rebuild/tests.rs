use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);

fn board() -> RebuildBoard {
    RebuildBoard::new(RebuildPlan {
        generation: "g2".to_owned(),
        lanes: 2,
        since: NOW.hour().0 - 2,
        cut: NOW,
        started_at: NOW,
    })
}

fn set(board: &mut RebuildBoard, name: &str, state: UnitState) {
    board.units.insert(
        RebuildUnit::parse(name).unwrap(),
        UnitProgress {
            state,
            tally: Tally { subtotal_pieces: 1, ..Tally::default() },
            ..UnitProgress::default()
        },
    );
}

fn next(board: &RebuildBoard) -> String {
    match board.next(NOW) {
        NextUnit::Work(unit, _) => unit.name(),
        NextUnit::Wait => "wait".to_owned(),
        NextUnit::Finished => "finished".to_owned(),
    }
}

#[test]
fn units_have_names_that_read_back() {
    for unit in RebuildUnit::all().into_iter().flat_map(|unit| unit.halves().unwrap()) {
        assert_eq!(RebuildUnit::parse(&unit.name()), Some(unit));
    }
    assert_eq!(RebuildUnit::parse("1-02-01").unwrap().lane, Some(2));
    assert_eq!(
        [RebuildUnit::parse("9-02-"), RebuildUnit::parse("1-xx-"), RebuildUnit::parse("1-02")],
        [None, None, None]
    );
}

#[test]
fn a_stage_begins_when_the_one_before_it_is_done() {
    let mut board = board();
    let mut order = Vec::new();
    while next(&board) != "finished" {
        let name = next(&board);
        set(&mut board, &name, UnitState::Done);
        order.push(name);
    }
    let expected = ["1-00-", "1-01-", "1-02-", "1-03-", "5--", "6--", "2--", "3--", "4--"];
    assert_eq!(order, expected);
}

#[test]
fn a_unit_that_was_split_is_done_when_its_halves_are() {
    let mut board = board();
    for lane in ["1-00-", "1-01-", "1-02-"] {
        set(&mut board, lane, UnitState::Done);
    }
    set(&mut board, "1-03-", UnitState::Split);
    set(&mut board, "1-03-0", UnitState::Done);
    set(&mut board, "1-03-1", UnitState::Open);
    assert_eq!(next(&board), "1-03-1");
    set(&mut board, "1-03-1", UnitState::Done);
    assert_eq!(next(&board), "5--");
}

#[test]
fn what_is_claimed_is_left_alone_until_the_claim_runs_out() {
    let mut board = board();
    let until = |until: i64| UnitProgress { claim: Some(("w".to_owned(), until)), ..UnitProgress::default() };
    for (unit, progress) in &mut board.units {
        if unit.stage == Stage::Entities {
            *progress = until(NOW.millis());
        }
    }
    assert_eq!(next(&board), "wait");
    board.units.insert(RebuildUnit::parse("1-02-").unwrap(), until(NOW.millis() - 1));
    assert_eq!(next(&board), "1-02-");
}

#[test]
fn each_stage_reads_what_was_put_aside_for_it() {
    let mut board = board();
    for unit in RebuildUnit::all() {
        set(&mut board, &unit.name(), UnitState::Done);
    }
    let reads =
        |stage| board.subtotals_for(stage).into_iter().map(|(unit, _)| unit.stage).collect::<Vec<_>>();
    assert_eq!(reads(Stage::Entities), []);
    assert_eq!(reads(Stage::Tasks), [Stage::Entities; 4]);
    assert_eq!(reads(Stage::Identities), [Stage::Entities; 4]);
    assert_eq!(reads(Stage::People).len(), 5);
    assert_eq!(reads(Stage::Queries), [Stage::Tasks]);
    assert_eq!(reads(Stage::Counters).len(), 8);
}

#[test]
fn a_board_reads_back_from_its_items() {
    let mut board = board();
    set(&mut board, "1-00-", UnitState::Split);
    let plan = Value::Text(serde_json::to_string(&board.plan).unwrap());
    let plan = Item { key: keys::rebuild_plan("g2"), attributes: [(PLAN.to_owned(), plan)].into() };
    let units = board.units.iter().map(|(unit, progress)| Item {
        key: keys::rebuild_unit("g2", &unit.name()),
        attributes: progress.store().unwrap(),
    });
    let items: Vec<Item> = units.chain([plan]).collect();
    assert_eq!(RebuildBoard::load(&items), Ok(Some(board)));
    assert_eq!(RebuildBoard::load(&items[..3]), Ok(None));
}
