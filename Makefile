# demo   the main loop on a real API server and a real Git server, told in scenes; DEMO_PAUSE=1 waits between them
# test   all levels of tests, see CONTRIBUTING.md
# bench  what it costs, beside what it may cost
.PHONY: demo test bench prerequisites

demo: prerequisites
	HOLDFAST_LAB_LINGER=1 cargo test --release --quiet --test demo

test: prerequisites
	cargo test --lib --test it --test git --test repository --test agent
	cargo test --release --test sim -- --nocapture
	cargo test --test cluster --test daemon --test guides
	tests/tools/check.sh
	cargo test --test node -- --nocapture

bench: prerequisites
	cargo bench --bench loop
	cargo bench --bench repository

prerequisites:
	@tests/prerequisites.sh
