# SPDX-License-Identifier: Apache-2.0
PKG.kms-tpm := tss2-sys
