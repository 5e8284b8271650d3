//! Keys, and the window that lists them.

use egui::{Grid, Key, KeyboardShortcut, Modifiers, Ui, Window};

use super::app::{Compare, Viewer};
use super::files::Choice;
use crate::explain::live::Mode;

/// What the help lists.
const KEYS: [(&str, &str); 21] = [
    ("drag, or space + drag", "move the picture"),
    ("wheel, pinch", "zoom at the pointer"),
    ("double click, Home", "the whole image"),
    ("Ctrl 1", "one pixel of the image for one of the screen"),
    ("click", "pin a pixel; again to let go"),
    ("1 – 9", "this class alone; again for all"),
    ("0", "show all classes"),
    ("M, Shift M", "next way of colouring, or the one before"),
    ("H", "hide the colours, show them again"),
    ("[  ]", "less or more opaque"),
    ("O", "filled, outlined, outlines"),
    ("W, S", "compare by a slider, side by side"),
    ("Left, Right", "image before, next image"),
    ("L, P, B", "legend, side panel, filmstrip"),
    ("Ctrl O, Ctrl Shift O", "open images, open a folder"),
    ("Ctrl M", "open a model"),
    ("Ctrl E", "export what is seen"),
    ("Ctrl N", "draw new street scenes"),
    ("F, F11", "full screen"),
    ("Ctrl Q", "close the window"),
    ("?", "this list"),
];

impl Viewer {
    /// Does what keys ask for, unless somebody types.
    pub(super) fn shortcuts(&mut self, ui: &Ui) {
        if self.context.egui_wants_keyboard_input() {
            return;
        }
        let command = |key| KeyboardShortcut::new(Modifiers::COMMAND, key);
        let shifted = KeyboardShortcut::new(Modifiers::COMMAND | Modifiers::SHIFT, Key::O);
        let pressed = |shortcut| ui.input_mut(|i| i.consume_shortcut(&shortcut));
        if pressed(shifted) {
            self.choose(Choice::Folder);
        }
        if pressed(command(Key::O)) {
            self.choose(Choice::Images);
        }
        if pressed(command(Key::M)) {
            self.choose(Choice::Model);
        }
        if pressed(command(Key::N)) {
            self.draw_scenes();
        }
        if pressed(command(Key::Q)) {
            self.context.send_viewport_cmd(egui::ViewportCommand::Close);
        }
        if pressed(command(Key::E)) {
            self.export_seen();
        }
        if pressed(command(Key::Num1)) {
            self.canvas.zoom_to(1.0, ui.pixels_per_point(), self.compare);
        }
        if pressed(KeyboardShortcut::new(Modifiers::SHIFT, Key::M)) {
            self.step_mode(-1);
        }
        let key = |key| ui.input_mut(|i| i.consume_key(Modifiers::NONE, key));
        if key(Key::Home) {
            self.canvas.fitted = true;
        }
        if key(Key::M) {
            self.step_mode(1);
        }
        if key(Key::H) {
            self.canvas.hidden ^= true;
        }
        if key(Key::OpenBracket) {
            self.settings.opacity = (self.settings.opacity - 0.1).max(0.0);
        }
        if key(Key::CloseBracket) {
            self.settings.opacity = (self.settings.opacity + 0.1).min(1.0);
        }
        if key(Key::O) {
            self.settings.contour = [2, 0, 1][usize::from(self.settings.contour.min(2))];
        }
        for (wanted, compare) in [(Key::W, Compare::Wipe), (Key::S, Compare::Side)] {
            if key(wanted) {
                self.toggle_compare(compare);
            }
        }
        if key(Key::ArrowRight) {
            self.step_image(1);
        }
        if key(Key::ArrowLeft) {
            self.step_image(-1);
        }
        for (wanted, shown) in [
            (Key::L, &mut self.settings.show_legend),
            (Key::P, &mut self.settings.show_side),
            (Key::B, &mut self.settings.show_filmstrip),
        ] {
            *shown ^= key(wanted);
        }
        if key(Key::Escape) {
            (self.canvas.pin, self.help) = (None, false);
        }
        if key(Key::F) || key(Key::F11) {
            let full = ui.input(|i| i.viewport().fullscreen.unwrap_or(false));
            self.context.send_viewport_cmd(egui::ViewportCommand::Fullscreen(!full));
        }
        if ui.input(|i| i.events.iter().any(|event| matches!(event, egui::Event::Text(text) if text == "?")))
        {
            self.help ^= true;
        }
        let digits = [
            Key::Num1,
            Key::Num2,
            Key::Num3,
            Key::Num4,
            Key::Num5,
            Key::Num6,
            Key::Num7,
            Key::Num8,
            Key::Num9,
        ];
        let class = digits.into_iter().position(&key);
        let all = key(Key::Num0);
        if let Some(legend) = self.model.and_then(|id| self.legend_mut(id)) {
            match class {
                Some(class) if class < legend.num_classes() => legend.solo(class),
                _ if all => legend.show_all(),
                _ => {}
            }
        }
    }

    /// The next way of colouring that means something here.
    fn step_mode(&mut self, steps: isize) {
        let has_prototypes = self
            .shown_model()
            .and_then(|m| m.info.as_ref())
            .is_none_or(|i| i.spec.head.kind.has_prototypes());
        let has_truth = self.current.and_then(|id| self.pictures.get(&id)).is_some_and(|p| p.truth.is_some());
        let possible: Vec<Mode> = Mode::ALL
            .into_iter()
            .filter(|mode| (has_prototypes || !mode.needs_prototypes()) && (has_truth || !mode.needs_truth()))
            .collect();
        let at = possible.iter().position(|mode| *mode == self.settings.mode).unwrap_or(0) as isize;
        self.settings.mode = possible[(at + steps).rem_euclid(possible.len() as isize) as usize];
    }

    /// The list of keys.
    pub(super) fn help_window(&mut self) {
        let context = self.context.clone();
        let window = Window::new("Shortcuts").open(&mut self.help).resizable(false).collapsible(false);
        window.anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO).show(&context, |ui| {
            Grid::new("keys").num_columns(2).spacing([24.0, 5.0]).striped(true).show(ui, |ui| {
                for (key, about) in KEYS {
                    ui.strong(key);
                    ui.label(about);
                    ui.end_row();
                }
            });
        });
    }
}
