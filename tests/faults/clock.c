/* Another wall clock for one process, preloaded: CLOCK_REALTIME plus so many seconds as a file says at this moment.
 * The monotonic clock is left alone, as it is when somebody sets a machine's clock.
 * (libfaketime 0.9.10 breaks Python's time.sleep: its clock_nanosleep answers EINVAL for an absolute time.) */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile double *offset_s;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAULTS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *memory = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(double), PROT_READ, MAP_SHARED, file, 0);

    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    offset_s = memory == MAP_FAILED ? NULL : memory;
    if (file >= 0)
        close(file);
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    int status;

    if (!real_clock_gettime)
        real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    status = real_clock_gettime(which, now);
    if (status == 0 && offset_s && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) {
        double whole = floor(*offset_s);

        now->tv_sec += (time_t)whole;
        now->tv_nsec += (long)((*offset_s - whole) * 1e9);
        if (now->tv_nsec >= 1000000000L) {
            now->tv_sec += 1;
            now->tv_nsec -= 1000000000L;
        }
    }
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec precise;

    clock_gettime(CLOCK_REALTIME, &precise);
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}
