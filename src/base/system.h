/* The operating system as the files of the base layer call it: POSIX, or what stands for it. */
#ifndef LODE_BASE_SYSTEM_H
#define LODE_BASE_SYSTEM_H

#ifdef _WIN32
#include "base/windows.h"
#else
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define LODE_I_SLASHES "/" /* what ends a folder's name in a path */
#define LODE_I_TEMPORARY "/tmp"
#endif

#endif
