/* What the system says: limits of control groups of both versions, clock, shared libraries. */
#include "fixture.h"

#include <math.h>
#include <sys/stat.h>

#include "base/state.h"

static void put(const char *root, const char *path, const char *text)
{
    char full[600];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    static char root[256];
    *state = root;
    folder_make(root);
    return 0;
}

static int teardown(void **state)
{
    folder_remove(*state);
    return 0;
}

static void without_groups_nothing_is_limited(void **state)
{
    assert_int_equal(lode_i_quota_cores(*state, 12), 12);
    assert_int_equal(lode_i_quota_memory(*state, 1e9), 1000000000);
}

static void version_2_takes_the_smallest_on_the_way_up(void **state)
{
    const char *root = *state;
    put(root, "/proc/self/cgroup", "0::/a/b\n");
    put(root, "/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put(root, "/sys/fs/cgroup/a/b/memory.max", "max\n");
    assert_int_equal(lode_i_quota_cores(root, 12), 12);
    assert_int_equal(lode_i_quota_memory(root, 1e9), 1000000000);
    put(root, "/sys/fs/cgroup/a/cpu.max", "250000 100000\n"); /* 2.5 cores keep 3 threads busy */
    put(root, "/sys/fs/cgroup/a/memory.max", "600000000\n");
    assert_int_equal(lode_i_quota_cores(root, 12), 3);
    assert_int_equal(lode_i_quota_cores(root, 2), 2);
    assert_int_equal(lode_i_quota_memory(root, 1e9), 600000000);
    assert_int_equal(lode_i_quota_memory(root, 5e8), 500000000);
    put(root, "/sys/fs/cgroup/a/b/cpu.max", "20000 100000\n");
    put(root, "/sys/fs/cgroup/a/b/memory.max", "500000000\n");
    assert_int_equal(lode_i_quota_cores(root, 12), 1);
    assert_int_equal(lode_i_quota_memory(root, 1e9), 500000000);
    put(root, "/sys/fs/cgroup/cpu.max", "10000 100000\n"); /* the root's, as in a container */
    put(root, "/sys/fs/cgroup/memory.max", "4096\n");
    assert_int_equal(lode_i_quota_cores(root, 12), 1);
    assert_int_equal(lode_i_quota_memory(root, 1e9), 4096);
}

static void version_1_has_a_hierarchy_for_each_controller(void **state)
{
    const char *root = *state;
    put(root, "/proc/self/cgroup", "7:cpuset:/other\n5:memory:/m\n4:cpu,cpuacct:/c\n0::/\n");
    put(root, "/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "-1\n");
    put(root, "/sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n");
    put(root, "/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(lode_i_quota_cores(root, 8), 8);
    assert_int_equal(lode_i_quota_memory(root, 1e9), 1000000000);
    put(root, "/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "400000\n");
    put(root, "/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "123456789\n");
    assert_int_equal(lode_i_quota_cores(root, 8), 4);
    assert_int_equal(lode_i_quota_memory(root, 1e9), 123456789);
    /* inside a container the host's path is not there, only the root */
    put(root, "/proc/self/cgroup", "5:memory:/docker/x\n4:cpuacct,cpu:/docker/x\n");
    put(root, "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    put(root, "/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    put(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000\n");
    assert_int_equal(lode_i_quota_cores(root, 8), 2);
    assert_int_equal(lode_i_quota_memory(root, 1e9), 1000000);
}

static void damaged_limits_are_no_limits(void **state)
{
    const char *root = *state;
    const char *bad[] = { "",         "\n",        "x",     "0 100000", "100000",
                          "100000 0", "-5 100000", "nan 1", "1e400 1" };
    put(root, "/proc/self/cgroup", "rubbish\n:\n0::/\n");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(root, "/sys/fs/cgroup/cpu.max", bad[i]);
        put(root, "/sys/fs/cgroup/memory.max", i < 3 ? bad[i] : "-1");
        assert_int_equal(lode_i_quota_cores(root, 8), 8);
        assert_int_equal(lode_i_quota_memory(root, 1e9), 1000000000);
    }
}

static void the_container_has_cores_and_memory(void **state)
{
    (void)state;
    assert_in_range(lode_i_container_cores(), 1, sysconf(_SC_NPROCESSORS_CONF));
    const uint64_t physical = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    assert_in_range(lode_i_container_memory(), 1 << 20, physical);
}

static void the_clock_goes_forward(void **state)
{
    (void)state;
    const double start = lode_i_seconds();
    usleep(2000);
    const double spent = lode_i_seconds() - start;
    assert_le(0.002, spent);
    assert_le(spent, 2);
}

static void libraries_are_found_or_not(void **state)
{
    (void)state;
    assert_null(lode_i_library_open("liblode-which-is-not-there.so"));
    /* of the C library, which is always there */
#ifdef __GLIBC__ /* a static program has no table of symbols */
    assert_non_null(lode_i_library_symbol(NULL, "getpid"));
#endif
    assert_null(lode_i_library_symbol(NULL, "no_such_symbol_anywhere"));
    lode_i_library_lock();
    lode_i_library_unlock();
    void *m = lode_i_library_open("libm.so.6");
    assert_true(!m || lode_i_library_symbol(m, "cos"));
    assert_true(!m || !lode_i_library_symbol(m, "no_such_symbol_in_libm"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_groups_nothing_is_limited),
        CASE(version_2_takes_the_smallest_on_the_way_up),
        CASE(version_1_has_a_hierarchy_for_each_controller),
        CASE(damaged_limits_are_no_limits),
        cmocka_unit_test(the_container_has_cores_and_memory),
        cmocka_unit_test(the_clock_goes_forward),
        cmocka_unit_test(libraries_are_found_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
