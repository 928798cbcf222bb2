# make            build/lode and build/liblode.so
# make deps       installs what the build needs (Debian, apt-get)
# make demo       installs, builds and compresses a real array, with pictures, into build/demo
# make test       unit and generic tests, the command's tests, quick claims
# make test-deep  sanitizers, fuzzing, static analysis;  make test-all: everything, full claims too
# make test-ports musl, Windows, big-endian and Arm under emulators, the reference BLAS (docs/portability.md)
# make reliability  long measurements, a day: docs/reliability.md
# make wheel      a Python package with the library inside, into build/wheels
# make site       the documentation as pages of a static site, into build/site
# make install    PREFIX=/usr/local (DESTDIR honoured);  make bench, make mutate, make format
BUILD ?= build
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
CMAKE ?= cmake

all: $(BUILD)/CMakeCache.txt
	@$(CMAKE) --build $(BUILD) -j $(JOBS)

$(BUILD)/CMakeCache.txt:
	@$(CMAKE) -S . -B $(BUILD) $(CMAKE_FLAGS)

deps:
	@scripts/install-deps

demo: deps
	@$(MAKE) --no-print-directory all
	@scripts/demo $(BUILD)

test: all
	@$(CMAKE) --build $(BUILD) -j $(JOBS) --target tests
	@ctest --test-dir $(BUILD) -j $(JOBS) --output-on-failure -LE 'deep|slow'

test-deep:
	@scripts/test-deep

test-ports:
	@scripts/test-ports

test-all: test test-deep
	@$(BUILD)/lode claims --full

bench: all
	@bench/run $(BUILD)

mutate:
	@scripts/mutate

reliability:
	@scripts/reliability

wheel: all
	@LODE_LIBRARY=$(BUILD)/liblode.so /usr/bin/python3 python/backend.py $(BUILD)/wheels

site: all
	@scripts/site $(BUILD)

install:
	@$(CMAKE) -S . -B $(BUILD)/install -DLODE_BREAKABLE=OFF -DLODE_TESTS=OFF -DCMAKE_INSTALL_PREFIX=$(PREFIX) $(CMAKE_FLAGS)
	@$(CMAKE) --build $(BUILD)/install -j $(JOBS)
	@DESTDIR=$(DESTDIR) $(CMAKE) --install $(BUILD)/install --strip

format:
	@clang-format -i $$(git ls-files '*.c' '*.h' '*.inc')

clean:
	@rm -rf $(BUILD)

.PHONY: all deps demo test test-deep test-ports test-all bench mutate reliability wheel site install format clean
