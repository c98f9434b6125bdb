#!/usr/bin/env python3
"""Asks a server by impacket for the accounts with the first numbers of its domain, as impacket's lookupsid does.

usage: SMB_PASSWORD=... lookup_sids.py HOST USER

Prints SID, domain, name and kind of each account that is there.
"""
import os
import sys

from impacket.dcerpc.v5 import lsad, lsat, transport
from impacket.dcerpc.v5.dtypes import MAXIMUM_ALLOWED
from impacket.dcerpc.v5.rpcrt import DCERPCException

HOST, USER = sys.argv[1:]
# More than fit into one fragment of a request.
FIRST, COUNT, UNKNOWN = 1000, 1000, 8

pipe = transport.DCERPCTransportFactory(rf"ncacn_np:{HOST}[\pipe\lsarpc]")
pipe.set_credentials(USER, os.environ["SMB_PASSWORD"])
rpc = pipe.get_dce_rpc()
rpc.connect()
rpc.bind(lsat.MSRPC_UUID_LSAT)
policy = lsad.hLsarOpenPolicy2(rpc, MAXIMUM_ALLOWED | lsat.POLICY_LOOKUP_NAMES)["PolicyHandle"]
what = lsad.POLICY_INFORMATION_CLASS.PolicyAccountDomainInformation
domain = lsad.hLsarQueryInformationPolicy2(rpc, policy, what)["PolicyInformation"]["PolicyAccountDomainInfo"]
sids = [f"{domain['DomainSid'].formatCanonical()}-{number}" for number in range(FIRST, FIRST + COUNT)]
try:
    answer = lsat.hLsarLookupSids(rpc, policy, sids, lsat.LSAP_LOOKUP_LEVEL.LsapLookupWksta)
except DCERPCException as error:
    assert error.get_error_code() == 0x107, error  # STATUS_SOME_NOT_MAPPED
    answer = error.get_packet()
domains = answer["ReferencedDomains"]["Domains"]
for sid, name in zip(sids, answer["TranslatedNames"]["Names"]):
    if name["Use"] != UNKNOWN:
        print(sid, domains[name["DomainIndex"]]["Name"], name["Name"], name["Use"])
