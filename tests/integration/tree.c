/* Prints everything that is known of each file below a directory, in the order of names. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static void text(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        printf(bytes[i] > 32 && bytes[i] < 127 ? "%c" : "\\%02x", (unsigned char)bytes[i]);
}

static int by_name(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static void attributes(const char *path)
{
    static char names[65536], value[65536];
    char *sorted[256];
    int count = 0;
    ssize_t length = llistxattr(path, names, sizeof names);
    for (ssize_t at = 0; at < length; at += strlen(names + at) + 1)
        /* What overlay file systems note in their lower layers, and what the host's security module adds. */
        if (strncmp(names + at, "trusted.overlay.", 16) && strcmp(names + at, "security.selinux"))
            sorted[count++] = names + at;
    qsort(sorted, count, sizeof *sorted, by_name);
    for (int i = 0; i < count; i++) {
        printf(" %s=", sorted[i]);
        length = lgetxattr(path, sorted[i], value, sizeof value);
        text(value, length < 0 ? 0 : length);
    }
}

/* Prints which other name in the tree a file has: how many there are elsewhere is not the tree's. */
static void another_name(const struct stat *stat, const char *name)
{
    static struct { ino_t inode; dev_t device; char *name; } seen[4096];
    static int count;
    for (int i = 0; i < count; i++)
        if (seen[i].inode == stat->st_ino && seen[i].device == stat->st_dev) {
            printf(" is=");
            text(seen[i].name, strlen(seen[i].name));
            return;
        }
    if (count == 4096)
        exit(1);
    seen[count].inode = stat->st_ino;
    seen[count].device = stat->st_dev;
    seen[count++].name = strdup(name);
}

static void show(const char *path, const char *name)
{
    struct stat stat;
    if (lstat(path, &stat))
        return;
    text(name, strlen(name));
    printf(" %o %d:%d time=%lld.%09ld", stat.st_mode, stat.st_uid, stat.st_gid, (long long)stat.st_mtime,
           stat.st_mtim.tv_nsec);
    if (!S_ISDIR(stat.st_mode) && stat.st_nlink > 1)
        another_name(&stat, name);
    if (S_ISCHR(stat.st_mode) || S_ISBLK(stat.st_mode))
        printf(" device=%u,%u", major(stat.st_rdev), minor(stat.st_rdev));
    if (S_ISLNK(stat.st_mode)) {
        char target[4096];
        ssize_t length = readlink(path, target, sizeof target);
        printf(" to=");
        text(target, length < 0 ? 0 : length);
    }
    if (S_ISREG(stat.st_mode)) {
        unsigned long long hash = 14695981039346656037ull;
        static unsigned char buffer[1 << 16];
        int file = open(path, O_RDONLY);
        ssize_t length;
        while ((length = read(file, buffer, sizeof buffer)) > 0)
            for (ssize_t i = 0; i < length; i++)
                hash = (hash ^ buffer[i]) * 1099511628211ull;
        close(file);
        printf(" size=%lld hash=%llx", (long long)stat.st_size, hash);
    }
    attributes(path);
    printf("\n");
    if (!S_ISDIR(stat.st_mode))
        return;
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, NULL);
    char **names = malloc((count + 1) * sizeof *names);
    for (int i = 0; i < count; i++)
        names[i] = entries[i]->d_name;
    qsort(names, count, sizeof *names, by_name);
    for (int i = 0; i < count; i++) {
        if (!strcmp(names[i], ".") || !strcmp(names[i], ".."))
            continue;
        char *below, *full;
        if (asprintf(&below, "%s/%s", path, names[i]) < 0 || asprintf(&full, "%s/%s", name, names[i]) < 0)
            exit(1);
        show(below, full);
    }
}

int main(int count, char **arguments)
{
    for (int i = 1; i < count; i++)
        show(arguments[i], "");
    return 0;
}
