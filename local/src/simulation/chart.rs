//! The result as a chart in SVG: two panels of bars, one pair of bars for each shape of attack.

use crate::simulation::report::{MOST_NEW_REFUSED_PERCENT, MOST_PUMPED, Played};
use crate::simulation::script::Addresses;
use std::fmt::Write as _;

/// Colours that can be read on white and on black.
const GREY: &str = "#7d8590";
const BLUE: &str = "#3b82f6";
const ORANGE: &str = "#e07b39";

const TOP: f64 = 62.0;
/// Between two shapes, between the two bars of a shape, and of a bar.
const ROW: f64 = 40.0;
const BAR: f64 = 13.0;
const PANEL: f64 = 210.0;

/// A panel: its place, its title, and what its bars show.
struct Panel {
    left: f64,
    title: &'static str,
    most: f64,
    target: f64,
    value: fn(&Played) -> f64,
    label: fn(f64) -> String,
}

/// The rows with a history and without settings of their own.
pub(super) fn chart(rows: &[Played]) -> String {
    let shown: Vec<_> = rows.iter().filter(|played| played.row.has_history && played.row.settings.is_empty()).collect();
    let mut shapes: Vec<_> = shown.iter().map(|played| played.row.shape.name).collect();
    shapes.dedup();
    let bottom = shapes.iter().fold(TOP, |bottom, _| bottom + ROW);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 {:.0}\" width=\"800\" height=\"{:.0}\" role=\"img\" \
         font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"{GREY}\">\n\
         <title>A day of SMS pumping by shape of attack: new users refused, and pumped SMS sent</title>\n",
        bottom + 30.0,
        bottom + 30.0,
    );
    for (left, colour, addresses) in [(190.0, BLUE, Addresses::Botnet), (300.0, ORANGE, Addresses::Ipv6Network)] {
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.0}\" y=\"{:.0}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\">{}</text>",
            bottom + 8.0,
            left + 18.0,
            bottom + 18.0,
            addresses.name(),
        );
    }
    let panels = [
        Panel {
            left: 190.0,
            title: "New users refused, in %",
            most: 100.0,
            target: MOST_NEW_REFUSED_PERCENT,
            value: Played::new_refused_percent,
            label: |value| format!("{value:.1} %"),
        },
        Panel {
            left: 510.0,
            title: "Pumped SMS sent, of 15,000",
            most: 1_000.0,
            target: f64::from(MOST_PUMPED),
            value: |played| f64::from(played.outcome.pumped_sent),
            label: |value| format!("{value:.0}"),
        },
    ];
    for panel in &panels {
        panel.draw(&mut svg, &shown, bottom);
    }
    let mut y = TOP;
    for name in shapes {
        let _ = writeln!(svg, "<text x=\"178\" y=\"{:.0}\" text-anchor=\"end\">{name}</text>", y + BAR + 5.0);
        y += ROW;
    }
    svg.push_str("</svg>\n");
    svg
}

impl Panel {
    fn draw(&self, svg: &mut String, shown: &[&Played], bottom: f64) {
        let Self { left, title, most, target, .. } = self;
        let width = |value: f64| (PANEL * value / most).min(PANEL);
        let at = left + width(*target);
        let _ = writeln!(
            svg,
            "<text x=\"{left:.0}\" y=\"20\" font-size=\"13\" font-weight=\"600\">{title}</text>\
             <path d=\"M{left:.0} {:.0}V{bottom:.0}\" stroke=\"{GREY}\"/>\
             <path d=\"M{at:.1} {:.0}V{bottom:.0}\" stroke=\"{GREY}\" stroke-dasharray=\"3 3\"/>\
             <text x=\"{at:.1}\" y=\"44\" text-anchor=\"middle\">at most {}</text>",
            TOP - 8.0,
            TOP - 12.0,
            (self.label)(*target).replace(".0", ""),
        );
        let (mut y, mut last) = (TOP - ROW, None);
        for played in shown {
            let name = played.row.shape.name;
            let is_second = last == Some(name);
            // The second bar lies below the first of its shape.
            y += if is_second { 0.0 } else { ROW };
            last = Some(name);
            let y = if is_second { y + BAR + 1.0 } else { y };
            let colour = match played.row.addresses {
                _ if !played.row.is_attack() => GREY,
                Addresses::Botnet => BLUE,
                Addresses::Ipv6Network => ORANGE,
            };
            let value = (self.value)(played);
            let bar = width(value);
            let _ = writeln!(
                svg,
                "<rect x=\"{left:.0}\" y=\"{y:.0}\" width=\"{bar:.1}\" height=\"{BAR:.0}\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{:.0}\">{}</text>",
                left + bar + 5.0,
                y + 11.0,
                (self.label)(value),
            );
        }
    }
}
