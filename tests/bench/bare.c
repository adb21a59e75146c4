/* SPDX-License-Identifier: Apache-2.0 */
/* bare.c: a process with libcurl and no libmemo: one GET, then what it holds. `bare PORT` */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t ignore(char *bytes, size_t size, size_t n, void *user)
{
    (void)bytes;
    (void)user;
    return size * n;
}

static long resident(const char *line)
{
    char text[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    while (f && fgets(text, sizeof text, f))
        if (strncmp(text, line, strlen(line)) == 0)
            kib = strtol(text + strlen(line), NULL, 10);
    if (f)
        fclose(f);
    return kib;
}

int main(int argc, char **argv)
{
    char url[64];
    CURL *curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && argc > 1 ? curl_easy_init() : NULL;
    if (!curl)
        return 1;
    snprintf(url, sizeof url, "http://127.0.0.1:%s/", argv[1]);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    int failed = curl_easy_perform(curl) != CURLE_OK;
    printf("%ld %ld %d\n", resident("Rss:"), resident("Private_Dirty:"), failed);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return failed;
}
