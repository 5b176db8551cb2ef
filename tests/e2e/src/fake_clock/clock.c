/* Loaded into a process by LD_PRELOAD: its wall clock is as many seconds ahead as the file BROKERX_CLOCK_FILE says,
   a 64-bit number, which may change at any time. Clocks that measure lengths of time are left alone. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead_s;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("BROKERX_CLOCK_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *ahead_s, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED)
        abort();
    ahead_s = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    /* Other constructors may come before this one's. */
    if (!failed && ahead_s && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *ahead_s;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact))
        return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *place)
{
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact))
        return -1;
    if (place)
        *place = exact.tv_sec;
    return exact.tv_sec;
}

int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

/* What librdkafka waits with. A deadline is one of the wall clock: whoever waits for it waits longer when that is set
   back meanwhile, as with the kernel's, so the clock is looked at every now and then. */
int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict deadline)
{
    static int (*next)(cnd_t *, mtx_t *, const struct timespec *);
    const int64_t look_ns = 50000000;
    if (!next)
        next = (int (*)(cnd_t *, mtx_t *, const struct timespec *))dlsym(RTLD_NEXT, "cnd_timedwait");
    for (;;) {
        struct timespec now, until;
        clock_gettime(CLOCK_REALTIME, &now);
        int64_t left_s = deadline->tv_sec - now.tv_sec;
        /* More than a second counts as much as a second. */
        int64_t left_ns = left_s > 1 ? 1000000000 : left_s * 1000000000 + deadline->tv_nsec - now.tv_nsec;
        if (left_s < -1 || left_ns <= 0)
            return thrd_timedout;
        syscall(SYS_clock_gettime, CLOCK_REALTIME, &until);
        until.tv_nsec += left_ns < look_ns ? left_ns : look_ns;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        int woken = next(condition, mutex, &until);
        if (woken != thrd_timedout)
            return woken;
    }
}
