# Set-up and checks in one word each; every line below is a plain cargo command that works without make too.

# The demo's street: how many scenes, and which ones.
DEMO := demo
IMAGES := 240
SEED := 7
CONFIG := examples/street.toml
CLASSES := Person,Car

# Where tests look for reference data; they skip themselves, saying so, where it is absent.
PROTOSEG_SHARED ?= ../shared
export PROTOSEG_SHARED
# Passed on to the viewer, as in: make view VIEW_ARGS="photo.jpg --theme light"
VIEW_ARGS :=
# Passed on to `cargo test`, as in: make test TEST_ARGS="--lib data::"
TEST_ARGS :=
WEB_TESTS := $(if $(TEST_ARGS),no,yes)

# The port of `make web-serve`.
WEB_PORT := 8080

RUN := cargo run --release --quiet --
WEB := cargo run --release --quiet --package protoseg-web --

.PHONY: help demo view web web-serve web-test test check targets driver window browser

help:
	@echo "make demo      draw a street, train on it, write the figure and the report (minutes, no GPU needed)"
	@echo "make view      open the viewer on freshly drawn streets (no GPU needed)"
	@echo "make web       build the browser's page: web/dist, ready for any static host (minutes)"
	@echo "make web-serve serve it on this machine; WEB_PORT=8080"
	@echo "make web-test  build the page and test it in a real browser"
	@echo "make test      run every test"
	@echo "make check     formatting, lints, documentation"
	@echo "make targets   type-check the library for Windows, macOS and the browser"
	@echo "make driver    install a C linker and Mesa's software Vulkan driver where there is none (demo and test do it too)"

demo: driver
	cargo build --release
	$(RUN) synth --out $(DEMO)/street --images $(IMAGES) --seed $(SEED)
	rm -rf $(DEMO)/run
	$(RUN) train $(CONFIG) --out $(DEMO)/run --set data.root=$(DEMO)/street --report $(CLASSES)

view: window
	cargo run --release --features viewer -- view models/street-small.safetensors $(VIEW_ARGS)

web:
	$(WEB) build

web-serve:
	$(WEB) serve --port $(WEB_PORT)

web-test: browser web/tests/node_modules/.package-lock.json
	$(WEB) build
	cargo test --release --quiet --package protoseg-web
	cd web/tests && npm test --silent

# npm writes this file last. Its messages of success go to standard output.
web/tests/node_modules/.package-lock.json: web/tests/package-lock.json
	cd web/tests && npm ci --loglevel error --no-audit --no-fund >/dev/null

# A filter for the library's tests (TEST_ARGS) leaves the page's out, unless WEB_TESTS=yes.
test: driver
	cargo test --release --features viewer $(TEST_ARGS)
ifeq ($(WEB_TESTS),yes)
	$(MAKE) web-test
endif

# The release profile throughout, so that the checks share what tests and demo have built.
check:
	cargo fmt --all --check
	cargo clippy --release --all-targets --all-features -- -D warnings
	cargo clippy --release --all-targets --package protoseg-web -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps --features viewer

targets:
	rustup target add x86_64-pc-windows-gnu aarch64-apple-darwin wasm32-unknown-unknown
	cargo check --release --features viewer --lib --target x86_64-pc-windows-gnu
	cargo check --release --features viewer --lib --target aarch64-apple-darwin
	cargo check --release --features viewer,web --lib --target wasm32-unknown-unknown

driver:
	@sh .ci/driver.sh

window:
	@sh .ci/driver.sh --window

browser:
	@sh .ci/driver.sh --web
