//! Scenarios to show, when nobody brought any: the records of a small harbour, in the formats that Web4 has used, with
//! references in circles. The same ones every time.

use std::fs;
use std::path::{Path, PathBuf};

use once::model::ids::Uuid;
use serde_json::{Value, json};

use crate::failure::{Done, Failure};

const PEOPLE: usize = 12;
const BERTHS: usize = 16;
const SENSORS: usize = 48;
const VESSELS: usize = 24;
const ORDERS: usize = 80;
const REVIEWS: usize = 20;

/// Numbers that look random and are the same every time (SplitMix64).
pub struct Dice(u64);

impl Dice {
    /// The seed says all.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n.max(1) as u64) as usize
    }

    /// One of these.
    fn one<'a, T>(&mut self, of: &'a [T], default: &'a T) -> &'a T {
        let at = self.below(of.len());
        of.get(at).unwrap_or(default)
    }

    /// As version 4 makes them.
    pub fn uuid(&mut self) -> Uuid {
        let random = (u128::from(self.bits()) << 64) | u128::from(self.bits());
        let fixed = 0xffff_ffff_ffff_0fff_3fff_ffff_ffff_ffff;
        Uuid::from_u128((random & fixed) | 0x0000_0000_0000_4000_8000_0000_0000_0000)
    }
}

struct Harbour {
    dice: Dice,
    people: Vec<String>,
    berths: Vec<String>,
    sensors: Vec<String>,
    vessels: Vec<String>,
    orders: Vec<String>,
    folder: PathBuf,
}

/// Writes them below a folder of their own.
pub fn write(folder: &Path) -> Done<PathBuf> {
    let mut dice = Dice::new(1);
    let mut uuids = |n: usize| (0..n).map(|_| dice.uuid().to_string()).collect::<Vec<_>>();
    let (people, berths, sensors) = (uuids(PEOPLE), uuids(BERTHS), uuids(SENSORS));
    let (vessels, orders) = (uuids(VESSELS), uuids(ORDERS));
    let mut harbour = Harbour { dice, people, berths, sensors, vessels, orders, folder: folder.to_owned() };
    harbour.write_people()?;
    harbour.write_berths()?;
    harbour.write_sensors()?;
    harbour.write_vessels()?;
    harbour.write_orders()?;
    harbour.write_reviews()?;
    harbour.write_oddities()?;
    Ok(folder.to_owned())
}

impl Harbour {
    /// Format B, owner as plain text. Everyone knows who stands in for them: a circle.
    fn write_people(&mut self) -> Done<()> {
        const NAMES: [&str; 6] =
            ["Ada Brinkmann", "Jørgen Ødegård", "Σοφία Νικολάου", "李 小龙", "Zoë O'Neill", "محمد سالم"];
        for (at, uuid) in self.people.clone().into_iter().enumerate() {
            let next = self.people.get((at + 1) % PEOPLE).cloned().unwrap_or_default();
            let name = self.dice.one(&NAMES, &NAMES[0]);
            let skills: Vec<_> = ["crane", "pilot", "customs"].into_iter().skip(self.dice.below(3)).collect();
            let model = json!({ "uuid": uuid, "name": name, "badge": 1000 + at, "standIn": unit(&next),
                "phone": null, "skills": skills });
            let scenario =
                json!({ "ior": ior(&uuid, "User", "0.3.22.1"), "owner": "system", "model": model });
            self.file("people", &uuid, &pretty(&scenario))?;
        }
        Ok(())
    }

    /// Format A, with a unit and declared references.
    fn write_berths(&mut self) -> Done<()> {
        for (at, uuid) in self.berths.clone().into_iter().enumerate() {
            let sensors: Vec<_> =
                self.sensors.iter().skip(at * 3).take(3).map(|sensor| unit(sensor)).collect();
            let warden = self.dice.one(&self.people, &uuid).clone();
            let model = json!({ "uuid": uuid, "name": format!("Berth {}", at + 1), "lengthMetres": 80.5 + at as f64,
                "depthMetres": 9.25, "warden": warden, "sensors": sensors, "state": { "closed": at == 7 } });
            let scenario = json!({ "ior": ior(&uuid, "Berth", "0.3.22.2"), "owner": owner("harbour-master"),
                "model": model, "unit": self.unit(&uuid, "Berth", &sensors) });
            self.file("berths", &uuid, &pretty(&scenario))?;
        }
        Ok(())
    }

    /// Format D on one line, as machines write it, with a reading that no double holds.
    fn write_sensors(&mut self) -> Done<()> {
        for (at, uuid) in self.sensors.clone().into_iter().enumerate() {
            let berth = self.berths.get(at / 3).cloned().unwrap_or_default();
            let readings: Vec<_> = (0..24).map(|_| self.dice.below(4000) as f64 / 100.0).collect();
            let model = json!({ "uuid": uuid, "name": format!("tide-{at:02}"), "berth": unit(&berth),
                "pulses": self.dice.bits(), "readings": readings, "calibrated": at % 5 != 0 });
            let scenario = json!({ "IOR": ior(&uuid, "TideSensor", "0.3.20.6"), "owner": "", "model": model,
                "unitIndex": { "type": "TideSensor", "symlinkPaths": [] } });
            // JSON's numbers have no limit, serde_json's have: written as text.
            let text = scenario.to_string().replace(
                "\"pulses\":",
                "\"exact\":1.0,\"serial\":123456789012345678901234567890,\"pulses\":",
            );
            self.file("sensors", &uuid, &text)?;
        }
        Ok(())
    }

    /// Format C, the legacy one: it points to its berth and to its sister ship.
    fn write_vessels(&mut self) -> Done<()> {
        for (at, uuid) in self.vessels.clone().into_iter().enumerate() {
            let sister = self.vessels.get((at + 7) % VESSELS).cloned().unwrap_or_default();
            let berth = self.dice.one(&self.berths, &uuid).clone();
            let scenario = json!({
                "uuid": uuid, "objectType": "Vessel", "version": "0.1.0.0",
                "state": { "name": format!("MV Example {at}"), "tonnage": 1200 + self.dice.below(90_000),
                    "cargo": [{ "kind": "grain", "tonnes": 12.5e3 }, { "kind": "mail", "tonnes": 0 }] },
                "metadata": { "created": "2025-11-27T17:51:59.488Z", "modified": "2025-11-28T06:00:00.000Z",
                    "creator": "harbour-office", "tags": ["demo"], "port": 0 },
                "references": [{ "name": "berth", "ior": unit(&berth), "type": "Berth" },
                    { "name": "sister", "ior": unit(&sister), "type": "Vessel", "optional": true }],
            });
            self.file("vessels", &uuid, &pretty(&scenario))?;
        }
        Ok(())
    }

    /// Format A: each order names its vessel, its people, and the orders before and after it.
    fn write_orders(&mut self) -> Done<()> {
        const WORK: [&str; 5] = ["unload", "refuel", "inspect hull", "clear customs", "change pilot"];
        for (at, uuid) in self.orders.clone().into_iter().enumerate() {
            let near = |by: usize| self.orders.get((at + by) % ORDERS).cloned().unwrap_or_default();
            let (after, before) = (near(1), near(ORDERS - 1));
            let vessel = self.dice.one(&self.vessels, &uuid).clone();
            let by = self.dice.one(&self.people, &uuid).clone();
            let references = [unit(&vessel), unit(&by)];
            let what = self.dice.one(&WORK, &WORK[0]);
            let log: Vec<_> = (0..self.dice.below(40))
                .map(|n| json!({ "at": format!("2025-12-01T{:02}:00:00Z", n % 24), "note": "✓ checked, no findings" }))
                .collect();
            let model = json!({ "uuid": uuid, "name": format!("Order {}: {what}", 4711 + at), "vessel": vessel,
                "assignedTo": by, "before": unit(&before), "after": unit(&after), "done": at % 3 == 0, "log": log });
            let scenario = json!({ "ior": ior(&uuid, "WorkOrder", "0.3.22.2"), "owner": owner("planner"),
                "model": model, "unit": self.unit(&uuid, "WorkOrder", &references) });
            self.file("orders", &uuid, &pretty(&scenario))?;
        }
        Ok(())
    }

    /// Format E: reviews of orders that refer back to themselves, and to a type in a module.
    fn write_reviews(&mut self) -> Done<()> {
        for at in 0..REVIEWS {
            let uuid = self.dice.uuid().to_string();
            let order = self.orders.get(at * 4).cloned().unwrap_or_default();
            let model = json!({ "uuid": uuid, "name": format!("PDCA {at}"), "plan": "shorter turnaround", "do": order,
                "check": { "self": unit(&uuid), "type": "ior:esm:/ONCE/0.3.22.2/Pdca" }, "act": null });
            let scenario = json!({ "IOR": ior(&uuid, "PDCA", "0.3.5.1"), "owner": { "userId": "qa", "timestamp": 0 },
                "model": model });
            self.file("reviews", &uuid, &pretty(&scenario))?;
        }
        Ok(())
    }

    /// What real collections have, too: a UUID used twice, none at all, and a large one.
    fn write_oddities(&mut self) -> Done<()> {
        let uuid = self.dice.uuid().to_string();
        for (name, body) in [("first", "drawn by hand"), ("second", "surveyed")] {
            let model = json!({ "uuid": uuid, "name": "Chart of the basin", "source": body });
            let scenario = json!({ "ior": ior(&uuid, "Chart", "1.0"), "owner": "system", "model": model });
            self.text(&format!("charts/{name}.scenario.json"), &pretty(&scenario))?;
        }
        let nameless = r#"{"ior":{"uuid":"unknown","component":"Buoy","version":"latest"},"owner":"system","model":{"light":"Fl.R.4s"}}"#;
        self.text("charts/buoy.scenario.json", nameless)?;
        let large = self.dice.uuid().to_string();
        let soundings: Vec<_> = (0..20_000).map(|_| json!(self.dice.below(3000) as f64 / 100.0)).collect();
        let model =
            json!({ "uuid": large, "name": "Soundings 2025", "chart": unit(&uuid), "metres": soundings });
        let scenario = json!({ "ior": ior(&large, "Soundings", "1.0"), "model": model });
        self.file("charts", &large, &scenario.to_string())
    }

    fn unit(&self, uuid: &str, component: &str, references: &[String]) -> Value {
        let path = format!("{uuid}.scenario.json");
        json!({ "indexPath": path, "symlinkPaths": [format!("type/{component}")], "references": references,
            "schemaVersion": "1.1.0", "createdBy": component, "createdAt": "2025-12-01T08:00:00.000Z",
            "updatedAt": "2025-12-01T08:00:00.000Z" })
    }

    fn file(&self, kind: &str, uuid: &str, text: &str) -> Done<()> {
        self.text(&format!("{kind}/{uuid}.scenario.json"), text)
    }

    fn text(&self, name: &str, text: &str) -> Done<()> {
        let path = self.folder.join(name);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&path, text)).map_err(|error| Failure::io(&path, &error))
    }
}

fn ior(uuid: &str, component: &str, version: &str) -> Value {
    json!({ "uuid": uuid, "component": component, "version": version })
}

fn unit(uuid: &str) -> String {
    format!("ior:unit:{uuid}")
}

/// As the kernels of today write it into their files: an object in a text.
fn owner(user: &str) -> Value {
    json!({ "user": user, "hostname": "harbour.example.net" }).to_string().into()
}

fn pretty(scenario: &Value) -> String {
    format!("{scenario:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use once::model::references::references;
    use std::collections::BTreeSet;

    #[test]
    fn the_examples_are_many_of_several_formats_and_the_same_every_time() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(a.path()).unwrap();
        write(b.path()).unwrap();
        let found = crate::scenarios::find(&[a.path().to_owned()]).unwrap();
        let root = a.path().canonicalize().unwrap();
        let mut formats = BTreeSet::new();
        let mut referring = 0;
        for file in &found.files {
            let scenario = crate::scenarios::read(file).unwrap();
            formats.insert(scenario.format().to_string());
            referring += usize::from(!references(&scenario).items.is_empty());
            let twin = fs::read(b.path().join(file.strip_prefix(&root).unwrap())).unwrap();
            assert_eq!(&scenario.bytes()[..], &twin[..]);
        }
        assert!((200..220).contains(&found.files.len()), "{}", found.files.len());
        assert!(formats.is_superset(&["A", "B", "C", "D", "E"].map(str::to_owned).into()), "{formats:?}");
        assert!(referring > 150, "{referring}");
    }

    #[test]
    fn uuids_are_of_version_4() {
        let uuid = Dice::new(9).uuid();
        let text = uuid.to_string();
        assert_eq!(uuid.get_version_num(), 4, "{text}");
        assert!(text[19..].starts_with(['8', '9', 'a', 'b']), "{text}");
        assert_ne!(uuid, Dice::new(10).uuid());
    }
}
