use std::time::Instant;
use torale_domain::calendar::next_run;
use torale_domain::time::Timestamp;
fn main() {
    let zones = ["UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Africa/Casablanca", "Australia/Lord_Howe", "Asia/Tokyo", "Asia/Gaza"];
    let now = Timestamp::from_millis(1_795_000_000_000);
    let kinds: [(&str, Box<dyn Fn(usize) -> String>); 6] = [
        ("daily", Box::new(|n| format!("{} {} * * *", n % 60, n / 60 % 24))),
        ("weekdays", Box::new(|n| format!("{} {} * * MON-FRI", n % 60, n / 60 % 24))),
        ("day13fri", Box::new(|n| format!("{} {} 13 * FRI", n % 60, n / 60 % 24))),
        ("leapmonday", Box::new(|n| format!("{} {} 29 2 {}", n % 60, n / 60 % 24, n % 7))),
        ("never-dst", Box::new(|n| format!("{} 2 8-14 3 SUN", n % 60))),
        ("never", Box::new(|n| format!("{} {} 30 2 *", n % 60, n / 60 % 24))),
    ];
    for (name, make) in &kinds {
        let specs: Vec<_> = (0..10_000).map(|n| (make(n), zones[n % zones.len()])).collect();
        let mut best = f64::MAX; let mut found=0;
        for _ in 0..15 { let t = Instant::now();
        for (cron, zone) in &specs { found += next_run(cron, zone, now).is_some() as usize; }
        best = best.min(t.elapsed().as_secs_f64()); }
        println!("{name}: {:.1} ms {found}", best*1000.0);
    }
}
