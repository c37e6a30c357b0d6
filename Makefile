# What is missing is installed from Debian's packages; what needs root asks for it with sudo, and says what for.

RELEASE := target/tinydock
PREFIX  ?= /usr/local
SUDO    := $(if $(filter 0,$(shell id -u)),,sudo)
BUSYBOX := $(or $(TINYDOCK_BUSYBOX),/bin/busybox)

.PHONY: run build test test-peers lint bench install clean

run: build ## Build, and run busybox in a container
	$(call say,to make a container)
	@if [ -t 0 ] && [ -t 1 ]; then \
		echo "A shell in a container, until you type exit:"; \
		$(SUDO) ./$(RELEASE) run -it --rm busybox sh; \
	else \
		$(SUDO) ./$(RELEASE) run --rm busybox uname -a; \
	fi

build: $(BUSYBOX) ## Build target/tinydock
	target=$$(scripts/target.sh --install) && cargo build --release --locked --target $$target && \
		install -C target/$$target/release/tinydock $(RELEASE)

test: $(BUSYBOX) ## Run every test
	$(call say,to make the namespaces and containers of the tests)
	scripts/packages.sh test
	target=$$(scripts/target.sh --install) && cargo test --locked --target $$target --no-run && \
		$(SUDO) env PATH="$$PATH" HOME="$$HOME" cargo test --locked --target $$target --no-fail-fast -- --include-ignored

test-peers: $(BUSYBOX) ## Run tinydock as the OCI runtime of Podman, Docker and containerd
	$(call say,to make the namespaces and containers of the tests)
	scripts/packages.sh peers
	target=$$(scripts/target.sh --install) && cargo test --locked --target $$target --test peers --no-run && \
		$(SUDO) env PATH="$$PATH" HOME="$$HOME" cargo test --locked --target $$target --test peers

lint:
	cargo fmt --check
	cargo clippy --all-targets --locked --target $$(scripts/target.sh --install) -- -D warnings

bench: build ## Measure, side by side with the other engines that are installed
	$(call say,to make containers)
	$(SUDO) env PATH="$$PATH" HOME="$$HOME" CARGO_BUILD_TARGET=$$(scripts/target.sh) bench/run.sh $(BENCH)

install: build ## Install the binary, its name as an OCI runtime, its manual pages and its completions
	$(SUDO) install -D -m 755 $(RELEASE) $(DESTDIR)$(PREFIX)/bin/tinydock
	$(SUDO) ln -sf tinydock $(DESTDIR)$(PREFIX)/bin/tinydock-runtime
	./$(RELEASE) manual | $(SUDO) install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/man/man1/tinydock.1
	for page in $$(./$(RELEASE) manual --names); do ./$(RELEASE) manual $$page | \
		$(SUDO) install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/man/man1/tinydock-$$page.1 || exit 1; done
	./$(RELEASE) completion bash | $(SUDO) install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tinydock
	./$(RELEASE) completion zsh | $(SUDO) install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_tinydock
	./$(RELEASE) completion fish | $(SUDO) install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/tinydock.fish

$(BUSYBOX):
	scripts/packages.sh build

clean:
	cargo clean

define say
@test -z "$(SUDO)" || echo "tinydock needs root $(1): sudo may ask for your password."
endef
