# Messenger Clone API. `make` lists the commands; each says which runtime it uses (RUNTIME=docker or RUNTIME=native forces one).
SHELL := /bin/bash
.DEFAULT_GOAL := help
stack := @scripts/stack.sh

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Infrastructure
.PHONY: up down down-clean ps stats monitoring logs logs-all
up: ## start 5 shards, their replicas and PgBouncers, and Redis
	$(stack) up
down: ## stop everything; data stays
	$(stack) down
down-clean: ## stop everything and remove this project's data
	$(stack) down-clean
ps: ## what runs, where, in which role
	$(stack) ps
stats: ## CPU, memory and network of every service
	$(stack) stats
monitoring: ## Prometheus with alerts (and Grafana, in Docker) beside what runs
	$(stack) monitoring
logs: ## the API's log (follows in a terminal)
	$(stack) logs
logs-all: ## every service's log (follows in a terminal)
	$(stack) logs-all

##@ Server
.PHONY: dev restart rebuild chaos
dev: ## start everything: infrastructure, migrations, the API with hot reload
	$(stack) dev
restart: ## replace the API's workers one by one
	$(stack) restart
rebuild: ## build the API anew, then do the same
	$(stack) rebuild
chaos: ## kill and freeze every part under load, and prove that nothing is lost
	$(stack) chaos

##@ Database
.PHONY: shards health seed verify backup restore failover db-shell
shards: ## users per shard (JSON when piped)
	$(stack) shards
health: ## health of every shard (JSON when piped)
	$(stack) health
seed: ## fill the shards with made-up users: make seed USERS=1000000 [SEED=1]
	$(stack) seed
verify: ## scan all shards: is every user and every claim where it belongs?
	$(stack) verify
backup: ## back all shards up while they serve: make backup [TO=folder]
	$(stack) backup
restore: ## put a backup in their place (asks first; YES=1 does not): make restore FROM=folder
	$(stack) restore
failover: ## promote a shard's replica, planned or after a loss: make failover SHARD=0 [ACCEPT_LOSS=1]
	$(stack) failover
db-shell: ## psql on one shard's primary: make db-shell SHARD=0
	$(stack) db-shell

##@ Migrations
.PHONY: migrate-make migrate-up migrate-down migrate-latest migrate-status
migrate-make: ## new numbered pair of files: make migrate-make NAME=add_messages
	$(stack) migrate-make
migrate-up: ## apply all pending migrations on every shard
	$(stack) migrate-up
migrate-down: ## take the last migration back on every shard (asks first; YES=1 does not)
	$(stack) migrate-down
migrate-latest: ## bring every shard to the newest version, whatever each stands at
	$(stack) migrate-latest
migrate-status: ## every shard's version, what is pending, its schema's checksum
	$(stack) migrate-status

##@ Load tests (Gatling, against the running server)
.PHONY: loadtest loadtest-smoke loadtest-custom loadtest-10k loadtest-crud loadtest-stress loadtest-spike loadtest-soak
.PHONY: loadtest-pagination loadtest-read loadtest-write loadtest-breakpoint loadtest-report loadtest-clean loadtest-help
loadtest-smoke: ## 10 users, 30 s: everything once around
	$(stack) loadtest-smoke
loadtest: ## 100 users, 60 s: a mix of reads and writes
	$(stack) loadtest-load
loadtest-custom: ## the mix as large as you like: make loadtest-custom USERS=300 [DURATION=60]
	@[ -n "$(USERS)" ] || { echo 'How many users? For example: make loadtest-custom USERS=300 (DURATION=60 unless given)' >&2; exit 2; }
	$(stack) loadtest-custom
loadtest-10k: ## 10,000 concurrent users
	$(stack) loadtest-10k
loadtest-crud: ## the whole life of a user
	$(stack) loadtest-crud
loadtest-stress: ## 500 users, 120 s
	$(stack) loadtest-stress
loadtest-spike: ## a sudden burst of users
	$(stack) loadtest-spike
loadtest-soak: ## 5 min
	$(stack) loadtest-soak
loadtest-pagination: ## pages and walks
	$(stack) loadtest-pagination
loadtest-read: ## 80 % reads
	$(stack) loadtest-read
loadtest-write: ## creates, updates, deletes
	$(stack) loadtest-write
loadtest-breakpoint: ## ever more users, until the objective breaks
	$(stack) loadtest-breakpoint
loadtest-report: ## open the newest report (or print where it is)
	@scripts/loadtest-report.sh
loadtest-clean: ## remove all reports
	@rm -rf loadtest/gatling/results/*[0-9] loadtest/gatling/results/.running-*
loadtest-help: ## all load tests with their sizes
	@scripts/loadtest-env.sh help

##@ Benchmarks
.PHONY: bench bench-micro
bench: ## the API beside pgbench and an empty handler; saves a table: make bench [ONLY=get] [DURATION=2] [ROUNDS=3] [USERS=1000000] [SHARDS=1]
	$(stack) bench
bench-micro: ## Go benchmarks of what every request passes through, compared with the run before
	$(stack) bench-micro

##@ Tests
.PHONY: test test-long test-coverage lint
test: lint ## lint, then every test, against a cluster of its own
	$(stack) test
test-long: lint ## the long forms of the proofs
	$(stack) test-long
test-coverage: ## the tests with coverage.html
	$(stack) test-coverage
lint: ## golangci-lint, ShellCheck, spelling, and whether what the guides name is there
	$(stack) lint
