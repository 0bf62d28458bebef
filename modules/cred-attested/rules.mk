# SPDX-License-Identifier: Apache-2.0
PKG.cred-attested := libcurl
