/* SPDX-License-Identifier: Apache-2.0 */
/* Matching images: the kubelet's own cases, then ours. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "exec-plugin/image.h"

struct match_case {
	const char *pattern;
	const char *image;
	bool matches;
};

static void check(const struct match_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		cr_expect_eq(kt_image_matches(cases[i].pattern, cases[i].image), cases[i].matches,
			"%s against %s: expected %d", cases[i].pattern, cases[i].image,
			cases[i].matches);
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof(cases[0]))

Test(image, agrees_with_the_kubelets_test_cases)
{
	/* kubernetes/kubernetes, pkg/credentialprovider/keyring_test.go */
	static const struct match_case cases[] = {
		{"*.kubernetes.io", "prefix.kubernetes.io", true},
		{"prefix.*.io", "prefix.kubernetes.io", true},
		{"prefix.kubernetes.*", "prefix.kubernetes.io", true},
		{"*-good.kubernetes.io", "prefix-good.kubernetes.io", true},
		{"*.kubernetes.io/blah", "prefix.kubernetes.io/blah", true},
		{"prefix.*.io/foo", "prefix.kubernetes.io/foo/bar", true},
		{"*.kubernetes.io:1111/blah", "prefix.kubernetes.io:1111/blah", true},
		{"prefix.*.io:1111/foo", "prefix.kubernetes.io:1111/foo/bar", true},
		{"*.kubernetes.io", "kubernetes.io", false},
		{"*.*.kubernetes.io", "prefix.kubernetes.io", false},
		{"*.*.kubernetes.io", "kubernetes.io", false},
		{"kubernetes.io", "kubernetes.com", false},
		{"k*.io", "quay.io", false},
		{"*.kubernetes.io:1234/blah", "prefix.kubernetes.io:1111/blah", false},
		{"prefix.*.io/foo", "prefix.kubernetes.io:1111/foo/bar", false},
		{"hello.kubernetes.io", "hello.kubernetes.io/foo/bar", true},
		{"*.docker.io", "prefix.docker.io/foo/bar", true},
		{"prefix.docker.*/path", "prefix.docker.io/path/foo/bar", true},
		{"prefix.*.io/path", "prefix.docker.io/path/subpath/foo/bar", true},
		{"prefix.docker.*:8888", "prefix.docker.io:8888/foo/bar", true},
		{"*.docker.io/path:1111", "prefix.docker.io/path:1111/foo/bar", true},
		{"*.docker.io:1111", "prefix.docker.io:1111/path/foo/bar", true},
		{"hello.kubernetes.io", "world.mesos.org/foo/bar", false},
		{"*.docker.com", "prefix.docker.io/foo/bar", false},
		{"suffix.*.io", "prefix.docker.io/foo/bar", false},
		{"prefix.docker.c*", "prefix.docker.io/foo/bar", false},
		{"prefix.*.io/path:1111", "prefix.docker.io/path/subpath:1111/foo/bar", false},
	};

	CHECK(cases);
}

Test(image, matches_globs_within_one_label_only)
{
	static const struct match_case cases[] = {
		{"*", "localhost/app", true},
		{"*.*", "example.com/app", true},
		{"*.io", "a.k8s.io/app", false},
		{"app*.k8s.io", "app1.k8s.io/x", true},
		{"app*.k8s.io", "ap.k8s.io/x", false},
		{"a*b*c.io", "aXbYc.io/x", true},
		{"a*b*c.io", "abcbc.io/x", true},
		{"a*b*c.io", "aXcYb.io/x", false},
		{"**.io", "k8s.io/x", true},
		{"*a.io", "aaab.io/x", false},
		{"k8s.io", "K8S.io/x", false},
		{"registry.example.com", "registry.example.com.evil.org/x", false},
		{"registry.example.com", "registryXexample.com/x", false},
	};

	CHECK(cases);
}

Test(image, compares_paths_as_prefixes_byte_by_byte)
{
	static const struct match_case cases[] = {
		{"r.io/team", "r.io/team", true},
		{"r.io/team", "r.io/team/app", true},
		{"r.io/team", "r.io/teams/app", true}, /* the kubelet's rule, odd as it is */
		{"r.io/team/", "r.io/team/app", true},
		{"r.io/team/", "r.io/team", false},
		{"r.io/team", "r.io/Team/app", false},
		{"r.io/team", "r.io", false},
		{"r.io/*", "r.io/team", false},
		{"r.io/", "r.io/team", true},
		{"r.io/", "r.io", false},
	};

	CHECK(cases);
}

Test(image, wants_equal_ports)
{
	static const struct match_case cases[] = {
		{"r.io:5000", "r.io:5000/a", true},
		{"r.io:5000", "r.io/a", false},
		{"r.io", "r.io:5000/a", false},
		{"r.io:5000", "r.io:50000/a", false},
		{"r.io:*", "r.io:5000/a", false},
		{"[fd00::1]:5000", "[fd00::1]:5000/a", true},
		{"[fd00::1]:5000", "[fd00::2]:5000/a", false},
		{"[fd00::1]", "[fd00::1]/a", false},
		{"*:5000", "[fd00::1]:5000/a", true}, /* SplitHostPort took the brackets off */
		{"*", "[fd00::1]/a", false},
	};

	CHECK(cases);
}

Test(image, gives_the_default_registry_to_unqualified_images)
{
	static const struct match_case cases[] = {
		{"index.docker.io", "nginx", true},
		{"index.docker.io", "library/nginx", true},
		{"index.docker.io", "docker.io/library/nginx", true},
		{"index.docker.io", "index.docker.io/library/nginx", true},
		{"index.docker.io", "registry.tld/foo/bar", false},
		{"index.docker.io", "registry:5000/foo/bar", false},
		{"index.docker.io", "myhostdocker.io/foo/bar", false},
		{"index.docker.io", "", false},
		{"index.docker.io", "/x", false},
		{"docker.io", "docker.io/library/nginx", true},
		{"docker.io", "library/nginx", false},
		{"index.docker.io/library", "docker.io/library/nginx", false},
	};

	CHECK(cases);
}

Test(image, refuses_what_is_no_pattern)
{
	static const char *const patterns[] = {"", "/path", ":5000", "r.io:", "r.io:port",
		"r.io:5000:6000", "https://r.io", "user@r.io", "r io", "r.io/a b", "r.io/a?b",
		"r.io/a#b", "r.io/%41", "r?.io", "k[ab].io", "[fd00::1", "[fd00::g]:1", "[]:1",
		"[fd00::1]x", "fd00::1", "r.io/\x7f", "r.io/\xc3\xa9", "r\\.io", "r.io/\n"};
	struct kt_error e;

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		cr_expect_eq(kt_image_check_pattern(patterns[i], &e), -1, "\"%s\"", patterns[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
		cr_expect_not(kt_image_matches(patterns[i], patterns[i]), "\"%s\"", patterns[i]);
	}
}

Test(image, knows_when_only_the_path_decides)
{
	cr_expect(kt_image_path_decides("r.io/team", "r.io/team/app"));
	cr_expect(kt_image_path_decides("r.io/team", "r.io/other/app"));
	cr_expect_not(kt_image_path_decides("r.io", "r.io/team/app"));
	cr_expect_not(kt_image_path_decides("q.io/team", "r.io/team/app"));
	cr_expect_not(kt_image_path_decides("r.io:5000/team", "r.io/team/app"));
	/* The kubelet would file it under the "registry" nginx. */
	cr_expect(kt_image_path_decides("index.docker.io", "nginx"));
	cr_expect_not(kt_image_path_decides("index.docker.io", "docker.io/library/nginx"));
}

Test(image, has_hosts_no_longer_than_the_name_system_allows)
{
	char label[80], pattern[1024] = "", image[300];
	struct kt_error e;

	memset(label, 'a', sizeof(label));
	label[64] = '\0';
	cr_expect_eq(kt_image_check_pattern(label, &e), -1);
	cr_expect_not(kt_image_matches(label, label));
	label[63] = '\0';
	cr_expect_eq(kt_image_check_pattern(label, &e), 0);
	cr_expect(kt_image_matches(label, label));
	for (int i = 0; i < 4; i++)
		snprintf(
			pattern + strlen(pattern), sizeof(pattern) - strlen(pattern), "%s.", label);
	cr_expect_eq(kt_image_check_pattern(pattern, &e), -1);
	/* The first part of an image of the default registry is no host. */
	snprintf(image, sizeof(image), "%s%s/app", label, label);
	cr_expect_eq(kt_image_check(image, &e), 0, "%s", e.msg);
	cr_expect(kt_image_matches("index.docker.io", image));
}

Test(image, is_one_that_the_kubelet_could_ask_for)
{
	static const char *const good[] = {"nginx", "library/nginx", "r.io:5000/team/my__app",
		"docker.io/library/nginx", "[fd00::1]:5000/a", "my_image"};
	static const char *const bad[] = {"", "/x", "r.io:port/x", "https://r.io/x", "r.io:/x",
		"*.io/x", "a b", "r.io/a b", "r.io/\x7f", "user@r.io/x", "r.io/x?y"};
	struct kt_error e;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect_eq(kt_image_check(good[i], &e), 0, "%s", e.msg);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect_eq(kt_image_check(bad[i], &e), -1, "%s", bad[i]);
		cr_expect_eq(e.code, KT_E_INPUT);
	}
}
