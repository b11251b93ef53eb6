/* Single operations on libuv: "libuv_micro OPERATION COUNT" does one so many times and prints how many nanoseconds of
 * CPU time that took. The operations are those of src/micro.rs, done in the same way. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

/* The timers that are to fire do so at times within this. */
enum { SPREAD_MS = 100 };

static uv_loop_t* loop;
static size_t called;
static size_t left;

static uint64_t on_core(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void fail(const char* what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static void check(int err) {
  if (err != 0) fail(uv_strerror(err));
}

/* Visits 0..count in an order that looks random and is always the same. */
static size_t* shuffled(size_t count) {
  size_t* order = malloc(count * sizeof(*order));
  uint64_t state = 0x9e3779b97f4a7c15;
  for (size_t at = 0; at < count; at++) order[at] = at;
  for (size_t at = count - 1; at > 0; at--) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    size_t other = (size_t)(state % (at + 1));
    size_t saved = order[at];
    order[at] = order[other];
    order[other] = saved;
  }
  return order;
}

static void on_idle(uv_idle_t* idle) {
  if (--left == 0) uv_idle_stop(idle);
}

static uint64_t turn(size_t count) {
  uv_idle_t idle;
  check(uv_idle_init(loop, &idle));
  check(uv_idle_start(&idle, on_idle));
  left = count;
  uint64_t begin = on_core();
  uv_run(loop, UV_RUN_DEFAULT);
  return on_core() - begin;
}

static void on_async(uv_async_t* async) {
  (void)async;
  called++;
}

static uint64_t wake_turn(size_t count) {
  uv_async_t async;
  check(uv_async_init(loop, &async, on_async));
  uint64_t begin = on_core();
  for (size_t n = 0; n < count; n++) {
    check(uv_async_send(&async));
    uv_run(loop, UV_RUN_NOWAIT);
  }
  uint64_t taken = on_core() - begin;
  if (called != count) fail("a wake was lost");
  return taken;
}

static uint64_t wake_pending(size_t count) {
  uv_async_t async;
  check(uv_async_init(loop, &async, on_async));
  check(uv_async_send(&async));
  uint64_t begin = on_core();
  for (size_t n = 0; n < count; n++) check(uv_async_send(&async));
  uint64_t taken = on_core() - begin;
  uv_run(loop, UV_RUN_NOWAIT);
  if (called != 1) fail("the callback did not come once");
  return taken;
}

static void on_timer(uv_timer_t* timer) {
  (void)timer;
  called++;
}

static uv_timer_t* new_timers(size_t count) {
  uv_timer_t* timers = malloc(count * sizeof(*timers));
  for (size_t n = 0; n < count; n++) check(uv_timer_init(loop, &timers[n]));
  return timers;
}

/* Starts all timers, far away and each for another time. */
static uint64_t start_all(uv_timer_t* timers, const size_t* order, size_t count, size_t shift, uint64_t repeat) {
  uint64_t begin = on_core();
  for (size_t n = 0; n < count; n++) {
    uint64_t delay = 1000000 + order[n + shift < count ? n + shift : 0];
    check(uv_timer_start(&timers[n], on_timer, delay, repeat));
  }
  return on_core() - begin;
}

static uint64_t timer_start(size_t count) {
  size_t* order = shuffled(count);
  return start_all(new_timers(count), order, count, 0, 0);
}

static uint64_t timer_stop(size_t count) {
  uv_timer_t* timers = new_timers(count);
  start_all(timers, shuffled(count), count, 0, 0);
  uint64_t begin = on_core();
  for (size_t n = 0; n < count; n++) check(uv_timer_stop(&timers[n]));
  return on_core() - begin;
}

static uint64_t timer_restart(size_t count) {
  uv_timer_t* timers = new_timers(count);
  size_t* order = shuffled(count);
  start_all(timers, order, count, 0, 0);
  return start_all(timers, order, count, 1, 0);
}

static uint64_t timer_again(size_t count) {
  uv_timer_t* timers = new_timers(count);
  start_all(timers, shuffled(count), count, 0, 3600000);
  uint64_t begin = on_core();
  for (size_t n = 0; n < count; n++) check(uv_timer_again(&timers[n]));
  return on_core() - begin;
}

static uint64_t timer_fire(size_t count) {
  uv_timer_t* timers = new_timers(count);
  size_t* order = shuffled(count);
  uv_update_time(loop);
  for (size_t n = 0; n < count; n++)
    check(uv_timer_start(&timers[n], on_timer, (uint64_t)order[n] * SPREAD_MS / count, 0));
  usleep((SPREAD_MS + 2) * 1000);
  uint64_t begin = on_core();
  uv_run(loop, UV_RUN_DEFAULT);
  uint64_t taken = on_core() - begin;
  if (called != count) fail("a timer did not fire");
  return taken;
}

static uint64_t timer_alone(size_t count) {
  uv_timer_t timer;
  check(uv_timer_init(loop, &timer));
  uint64_t begin = on_core();
  for (size_t n = 0; n < count; n++) {
    check(uv_timer_start(&timer, on_timer, 1000000, 0));
    check(uv_timer_stop(&timer));
  }
  return on_core() - begin;
}

static const struct {
  const char* name;
  uint64_t (*run)(size_t count);
} operations[] = {
    {"turn", turn},
    {"wake-turn", wake_turn},
    {"wake-pending", wake_pending},
    {"timer-start", timer_start},
    {"timer-stop", timer_stop},
    {"timer-restart", timer_restart},
    {"timer-again", timer_again},
    {"timer-fire", timer_fire},
    {"timer-alone", timer_alone},
};

int main(int argc, char** argv) {
  size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
  loop = uv_default_loop();
  for (size_t n = 0; n < sizeof(operations) / sizeof(operations[0]) && count > 0; n++) {
    if (strcmp(operations[n].name, argv[1]) == 0) {
      printf("%llu\n", (unsigned long long)operations[n].run(count));
      return 0;
    }
  }
  fprintf(stderr, "usage: libuv_micro OPERATION COUNT\n");
  return 2;
}
